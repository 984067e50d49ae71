# class: links of a stage (CVE-2024-1753)
# says: not found
# base: links
# exit: 1
FROM base
COPY --from=base /way/secret /file-way /stolen/
