# Commands that need no user but root, on files of many.
FROM rich
COPY --chown=7:8 --chmod=640 Dockerfile /app/file
COPY --from=rich /rich /again
RUN chmod 755 /app/file && echo more >> /rich/directory/file && chmod 2711 /again/directory && mkfifo -m 604 /fifo
RUN rm /rich/owned && echo new > /rich/owned && ln -s x /rich/new-link && touch /again/directory/file
RUN rm -r /again/links && mkdir /again/links && echo again > /again/links/file
WORKDIR /app/w
RUN chmod 711 .. && ! chown 7:8 . 2> /dev/null || test "$(stat -c %u .)" = 7 && chown 0:0 .
