# class: a whiteout of the root directory itself or of its parent
# says: FROM base
# exit: 0 1
# base: whiteout-dots
FROM base
COPY file /copied
