FROM base AS copy
COPY --chown=4000000:5 mine /mine
RUN true

FROM base AS mount
RUN --mount=type=cache,target=/c,uid=4000000 true

FROM base AS run
USER 4000000
RUN true
