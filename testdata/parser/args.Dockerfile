# GLOBAL is for everyone
ARG GLOBAL=1 OTHER
ARG IMAGE="x:${GLOBAL}"
FROM ${IMAGE} AS one
# A first
# B second thing
ARG A B=2 C="3 4" D=
ARG GLOBAL
FROM one
