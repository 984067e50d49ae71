# The second command needs more than a step gets in the mode chroot.
FROM base
RUN echo "first"" step"
RUN --network=none true
