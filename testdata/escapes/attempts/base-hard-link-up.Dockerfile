# class: a layer of a base image that reaches out of the root (CVE-2024-25621 and kin)
# says: FROM base
# exit: 0 1
# base: hard-link-up
FROM base
COPY file /copied
RUN cat /stolen /way/secret /d/secret 2>/dev/null; true
