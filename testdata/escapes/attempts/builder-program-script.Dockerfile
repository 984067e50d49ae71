# class: the builder's program as the interpreter of a script (CVE-2019-5736)
# says: exit code: 12[67]
# exit: 1
FROM base
COPY loader /lib64/ld-linux-x86-64.so.2
COPY --chmod=755 <<T /script
#!/proc/self/exe
T
RUN ["/script"]
