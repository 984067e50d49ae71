# class: device nodes of disks and memory
# says: attempted disks
# modes: isolated
FROM base
ARG GUARD
COPY attacker /attacker
RUN /attacker "$GUARD" disks
