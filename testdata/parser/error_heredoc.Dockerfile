FROM x
COPY a <<EOF
b
EOF
RUN cat <<'END' && \
    echo x
text
  END
RUN y
