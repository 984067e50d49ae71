FROM base AS removes
RUN rm /bin/vi && exit 3
