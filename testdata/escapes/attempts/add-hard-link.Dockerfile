# class: an archive of the context that reaches out of where it is unpacked (CVE-2018-15664, CVE-2020-10696)
# says: ADD hard-link
# exit: 0 1
FROM base
ADD hard-link.tar /
ADD hard-link.tar /real/
