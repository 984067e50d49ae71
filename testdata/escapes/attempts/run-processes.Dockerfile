# class: roots and directories of other processes
# says: attempted processes
# modes: isolated
FROM base
ARG GUARD
COPY attacker /attacker
RUN /attacker "$GUARD" processes
