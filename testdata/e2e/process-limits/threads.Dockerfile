FROM base AS a
RUN echo a >/a
FROM base AS b
RUN echo b >/b
FROM base AS c
COPY f /f
RUN echo c >/c
FROM base
COPY --from=a /a /
COPY --from=b /b /
COPY --from=c /c /
RUN cat /a /b /c
