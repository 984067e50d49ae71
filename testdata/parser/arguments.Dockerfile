FROM x
RUN ["a", "b c", "\u00e9\n"]
RUN [ ]
RUN ['a', 'b']
RUN ["a"] && b
RUN [ -e /x ] || exit 1
CMD ["a"
CMD "a b"
ENTRYPOINT ["/bin/x", "--y"]
ENTRYPOINT exec x   y
SHELL ["/bin/bash", "-c"]
COPY ["a b", "c", "/d e/"]
COPY "a b" /d
COPY a\ b /d
VOLUME /a /b
VOLUME ["/a", " /b "]
EXPOSE 80 443/tcp 8000-8010/udp $PORT
USER a:b c
WORKDIR /a b
STOPSIGNAL SIGTERM
MAINTAINER me <me@example.com>
