# class: names in the image that an output follows
# says: attempted
# base: links
FROM base
ARG GUARD
RUN rm /file-way && ln -s $GUARD/victim /file-way && mkfifo /pipe && echo attempted
