# class: the id of a cache as a path (CVE-2024-9675)
# says: attempted
FROM base
RUN --mount=type=cache,id=../../../../guard/open,target=/c touch /c/by-attacker && echo attempted
RUN --mount=type=cache,id=/../guard,target=/c cat /c/secret; echo attempted
