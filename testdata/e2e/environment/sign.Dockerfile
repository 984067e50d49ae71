FROM base
COPY tool /tool
RUN echo root:x:0:0::/:/bin/sh > /etc/passwd
RUN --mount=type=ssh,id=k echo signed > /text && \
    /tool/ld.so --library-path /tool /tool/ssh-keygen -Y sign -f /tool/key.pub -n file /text
