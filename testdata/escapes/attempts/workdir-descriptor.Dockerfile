# class: a working directory behind an inherited descriptor (CVE-2024-21626)
# says: WORKDIR /proc/self/fd
# exit: 0 1
# repeat: 3-16
FROM base
ARG N
ARG GUARD
WORKDIR /proc/self/fd/$N
RUN cat ../../../../../../../..$GUARD/secret; touch ../../../../../../../..$GUARD/open/by-attacker; true
