FROM busybox
RUN echo base >/made
