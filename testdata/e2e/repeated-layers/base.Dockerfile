FROM base AS twice
RUN true
RUN true
COPY f /f
COPY f /f
WORKDIR /a
WORKDIR /a

FROM twice AS again
RUN rm /f
COPY f /f

FROM again AS removed
RUN rm /f
