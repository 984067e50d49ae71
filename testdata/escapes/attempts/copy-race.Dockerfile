# class: a tree that changes while it is read (CVE-2018-15664)
# says: COPY --from=made
# exit: 0 1
FROM base AS made
ARG GUARD
COPY attacker /attacker
RUN mkdir /part && ln -s "$GUARD" /other && (/attacker "$GUARD" swap /part /other & sleep 1)
FROM base
COPY --from=made /part /part
RUN cat /part/secret; echo attempted race
