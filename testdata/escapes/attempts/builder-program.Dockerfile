# class: the builder's program, started with the image's loader (CVE-2019-5736)
# says: exit code: 12[67]
# exit: 1
FROM base
COPY loader /lib64/ld-linux-x86-64.so.2
RUN ["/proc/self/exe", "--version"]
