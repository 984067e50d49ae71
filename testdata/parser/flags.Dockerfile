FROM --platform=$BUILDPLATFORM x
COPY --from=0 --chown="1:2" --link --exclude=a --exclude='b c' s d
COPY --chmod=7\55 -- --file d
COPY --parents=true --link=false ./a/./b d
ADD --keep-git-dir --checksum=sha256:00 --unpack https://x/y.git /d
RUN --mount=type=cache,target=/c --mount="type=secret,id=t,required" --network=none --security=sandbox --device=v/c=d,required --timeout=10m --retry=2 --resource=memory=1g --resource="cpu-quota=50000" make -- --x
RUN --mount=type=bind \
    --mount=type=tmpfs,target=/t \
    true
HEALTHCHECK --interval=5s --timeout=3s --start-period=0 --start-interval=1ms --retries=0 CMD ["x"]
ARG --ignored a
STOPSIGNAL --ignored 9
HEALTHCHECK --ignored NONE
