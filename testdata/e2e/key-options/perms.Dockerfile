FROM base
COPY --chmod=644 --chown=1:1 f /f
RUN cat /f
