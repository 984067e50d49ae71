# class: the files of users as links (CVE-2024-9676)
# says: USER|user|FROM base
# base: users
# exit: 0 1
FROM base
USER somebody:somegroup
COPY --chown=other:group file /
RUN id
