# class: files by number (shocker)
# says: attempted handles
FROM base
ARG GUARD
COPY attacker /attacker
RUN /attacker "$GUARD" handles
