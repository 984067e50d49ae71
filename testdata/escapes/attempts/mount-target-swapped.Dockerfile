# class: a target that the step changes into a link, and that is removed afterwards (CVE-2024-23652)
# says: attempted
# base: links
# options: --secret id=s,src=$GUARD/../context/file
FROM base
ARG GUARD
RUN --mount=type=secret,id=s,target=/a/victim --mount=type=cache,target=/b/open rm -rf /a/x; mv /a /c; ln -s "$GUARD" /a; umount /b/open; mv /b /d; ln -s "$GUARD" /b; echo attempted
