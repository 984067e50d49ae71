ARG a=1
RUN too early
COPY also early
FROM x AS 9lives
FROM x AS a$b
FROM x AS
