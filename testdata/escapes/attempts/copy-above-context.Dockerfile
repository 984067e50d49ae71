# class: paths above the context
# says: not found|outside
# exit: 1
FROM base
COPY ../guard/secret /stolen
