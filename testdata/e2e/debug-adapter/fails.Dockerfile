FROM base
RUN echo left > /left && exit 4
