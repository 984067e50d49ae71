FROM a b
COPY x
ADD
ENV
ENV x
ENV a=1 b c=2 d
ENV =1
LABEL a=b =c
ARG =x
EXPOSE
VOLUME ["", "/a"]
SHELL /bin/sh
USER
