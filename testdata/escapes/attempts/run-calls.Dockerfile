# class: system calls that reach other namespaces or make mounts (CVE-2022-0185, CVE-2022-0492)
# says: attempted calls
# modes: isolated
FROM base
ARG GUARD
COPY attacker /attacker
RUN /attacker "$GUARD" calls
