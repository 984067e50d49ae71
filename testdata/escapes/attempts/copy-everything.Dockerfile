# class: links of the context (CVE-2018-15664)
# says: COPY --exclude=given . /all
FROM base
COPY --exclude=given . /all/
