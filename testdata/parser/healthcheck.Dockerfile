FROM x
HEALTHCHECK NONE
HEALTHCHECK none []
HEALTHCHECK CMD curl -f http://localhost || exit 1
HEALTHCHECK cmd ["curl", "-f"]
HEALTHCHECK   CMD   spaced   out
