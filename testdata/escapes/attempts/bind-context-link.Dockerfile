# class: the source of a mount behind a link of the context
# says: RUN --mount
# exit: 0 1
FROM base
RUN --mount=type=bind,source=way,target=/m,rw cat /m/secret; touch /m/open/by-attacker; true
