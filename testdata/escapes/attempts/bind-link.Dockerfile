# class: the source of a mount behind a link of an image (CVE-2024-1753)
# says: RUN --mount
# base: links
# exit: 0 1
FROM base
RUN --mount=type=bind,from=base,source=/way,target=/m,rw cat /m/secret; touch /m/open/by-attacker; true
RUN --mount=type=bind,from=base,source=/dots,target=/m,rw cat /m/secret; touch /m/open/by-attacker; true
