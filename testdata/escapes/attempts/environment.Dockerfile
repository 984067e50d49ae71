# class: the environment of the builder in a step (CVE-2021-3602)
# says: attempted
FROM base
RUN env; cat /proc/1/environ /proc/self/environ /proc/*/environ; echo attempted
