FROM x
ONBUILD RUN  make all 
onbuild copy . \
  /app
ONBUILD ADD <<-A <<B /d/
	1
	A
2
B
ONBUILD RUN ["x", "y"]
ONBUILD HEALTHCHECK --interval=1m CMD x
ONBUILD COPY --form=y a b
