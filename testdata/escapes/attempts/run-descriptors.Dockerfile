# class: descriptors that a step inherits (CVE-2016-9962, CVE-2024-21626)
# says: attempted descriptors
FROM base
ARG GUARD
COPY attacker /attacker
RUN /attacker "$GUARD" descriptors
