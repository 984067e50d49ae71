# class: a target whose upper directory the step changes into a link, and that is removed afterwards (CVE-2024-23652)
# says: attempted
# options: --secret id=s,src=$GUARD/../context/file
FROM base
ARG GUARD
RUN --mount=type=secret,id=s,target=/a/deep/victim --mount=type=tmpfs,target=/a/deep/empty mv /a /b; ln -s "$GUARD" /a; echo attempted
