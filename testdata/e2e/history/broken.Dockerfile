FROM base
RUN echo before it fails && exit 3
