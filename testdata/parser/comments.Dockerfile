# not a directive
# build compiles
# second line

FROM golang AS build
# VERSION what to build
   # indented
ARG VERSION
# dropped
#
# kept
RUN make \
  # between
  # lines
  all # not a comment
LABEL a=#b "#c"=d
