# class: a second chroot above a directory that is held open
# says: attempted chroot
# modes: isolated
FROM base
ARG GUARD
COPY attacker /attacker
RUN /attacker "$GUARD" chroot
