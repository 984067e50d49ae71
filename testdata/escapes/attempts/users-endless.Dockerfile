# class: the files of users without an end (CVE-2024-9676)
# says: user|passwd
# base: endless-users
# exit: 1
FROM base
USER somebody
RUN id
