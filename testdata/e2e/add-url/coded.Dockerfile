FROM scratch
ARG HTTP
ARG SUM
ADD $HTTP/coded.txt /plain
ADD --checksum=$SUM $HTTP/coded.txt /checked
ADD $HTTP/coded.tar /archive
ADD --unpack=true $HTTP/coded.tar /unpacked/
