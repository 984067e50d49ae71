FROM base
ARG N=1
RUN echo $N > /base-version
