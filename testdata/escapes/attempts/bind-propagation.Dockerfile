# class: options of mounts as free text (CVE-2024-9407)
# says: unexpected|unknown|invalid
# exit: 1
FROM base
RUN --mount=type=bind,target=/m,bind-propagation=rshared true
