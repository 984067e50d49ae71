# class: links that a step made (CVE-2024-1753)
# says: not found
# exit: 1
FROM base AS made
ARG GUARD
RUN ln -s / /top; ln -s $GUARD /way; ln -s /proc/1/root /root-way
FROM base
ARG GUARD
COPY --from=made /top/$GUARD/secret /way/secret /root-way/$GUARD/secret /stolen/
