# class: the environment of the builder's processes
# says: attempted
# modes: isolated
FROM base
RUN for i in 1 2 3; do cat /proc/*/environ /proc/*/task/*/environ; done 2>/dev/null; echo attempted
