# class: links of the context (CVE-2018-15664)
# says: COPY
# exit: 0 1
FROM base
COPY w*/sec* d*/sec* /stolen/
