FROM base AS small
RUN echo small >/small
FROM base AS large
COPY large /large
