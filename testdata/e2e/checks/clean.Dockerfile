FROM scratch AS clean
COPY case.json /
