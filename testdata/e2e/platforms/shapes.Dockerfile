FROM scratch AS once
COPY f /id
FROM base
ARG TARGETARCH
LABEL arch=$TARGETARCH
COPY --from=once /id /id
COPY f /made-for
