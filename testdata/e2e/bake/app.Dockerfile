FROM base
ARG WHO
RUN echo "hello $WHO" >/greeting
