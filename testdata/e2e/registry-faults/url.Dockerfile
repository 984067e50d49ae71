FROM scratch
ARG URL
ADD ${URL} /f
