# class: an archive of the context that reaches out of where it is unpacked (CVE-2018-15664, CVE-2020-10696)
# says: ADD absolute
# exit: 0 1
FROM base
ADD absolute.tar /
ADD absolute.tar /real/
