# class: links of the context (CVE-2018-15664)
# says: not found|COPY secret-way
# exit: 0 1
FROM base
COPY secret-way /stolen
