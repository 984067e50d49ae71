FROM x
RUN <<EOF
echo a \

# not a comment
EOF
RUN <<-EOF
	echo tabs
		  mixed
	EOF
RUN <<'EOF' python3
print("$x")
EOF
RUN cat <<A - 3<<B > /out && echo done
first
A
second
B
COPY <<a.txt <<"b c" plain /dest/
a
a.txt
b
b c
ADD --chown=1:1 <<-E /dest
	x
E
RUN <<  EOF  > f
EOF
RUN echo "<<EOF" '<<EOF' <<<EOF &&<<EOF
RUN <<EOF>f
EOF>f
RUN ["<<EOF"]
COPY <<X <<Y /d
Y
X
X
Y
RUN <<$NAME
$NAME
RUN echo don't <<EOF
CMD <<EOF
