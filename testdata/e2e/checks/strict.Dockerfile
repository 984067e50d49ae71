# check=error=true
FROM scratch as strict
COPY case.json /
