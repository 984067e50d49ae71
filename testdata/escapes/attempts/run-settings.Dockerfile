# class: settings of the whole machine (CVE-2022-0492)
# says: attempted settings
# modes: isolated
FROM base
ARG GUARD
COPY attacker /attacker
RUN /attacker "$GUARD" settings
