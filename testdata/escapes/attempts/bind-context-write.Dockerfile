# class: writes into a mounted context
# says: attempted
FROM base
RUN --mount=type=bind,target=/m,rw ls -l /m/way/; touch /m/way/open/by-attacker; cat /m/secret-way; echo attempted
