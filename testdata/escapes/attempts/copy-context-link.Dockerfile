# class: links of the context (CVE-2018-15664)
# says: not found
# exit: 1
FROM base
COPY way/secret /stolen
