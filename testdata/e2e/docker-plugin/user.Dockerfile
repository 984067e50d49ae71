FROM example.test/app:1
RUN cat /greeting >/seen
