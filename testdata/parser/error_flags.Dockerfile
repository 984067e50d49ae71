FROM --platfrm=x y
COPY --frm=a b c
COPY --from b c
COPY --link= --parents=2 b c
COPY --from=a --from=b c d
RUN --mont=type=cache x
ADD --parents a b
