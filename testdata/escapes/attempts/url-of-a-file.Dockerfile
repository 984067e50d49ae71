# class: URLs of files
# says: file:
# exit: 1
FROM base
ARG GUARD
ADD file://${GUARD}/secret /stolen
