# class: the files of users as pipes (CVE-2024-9676)
# says: passwd
# base: pipe-users
# exit: 1
FROM base
USER somebody
RUN id
