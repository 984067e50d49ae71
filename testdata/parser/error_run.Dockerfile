FROM x
RUN --network=bridge a
RUN --security=priv a
RUN --mount=from=$base,target=/x a
RUN --mount=type=cache,tar\"get=x a
RUN --device=a,b a
RUN --timeout=soon --retry=many a
