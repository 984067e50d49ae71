# Everything but commands: owners, modes, devices, capabilities and links, in every way that they come to a layer.
FROM rich AS more
ADD rich.tar /added/
COPY --chown=7:8 --chmod=4711 Dockerfile /copied
ADD --chown=1000:1000 rich.tar /owned/
FROM base
COPY --from=more /rich /from
COPY --from=more /copied /added /owned /two/
COPY --from=more --chown=3:4 /rich/links /links
WORKDIR /w/x
COPY --link --chown=9:9 --chmod=600 Dockerfile /linked
FROM more
COPY --from=1 /two /two
