FROM base AS wrong
RUN --timeout=5 true
RUN --timeout=-1s true
RUN --retry=many true
