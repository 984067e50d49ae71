# escape=`

# about base
FROM x AS base
RUN a `
  b
COPY <<EOF /f
line
EOF
ENV a=b
