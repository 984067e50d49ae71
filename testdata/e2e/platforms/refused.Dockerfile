FROM --platform=$BUILDPLATFORM tools AS native
RUN echo ran on this machine > /log; cat /log

FROM base
COPY --from=native /log /log
RUN ["/hello"]
