# nothing to build
ARG a=1
