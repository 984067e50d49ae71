# FROM x

# RUN y
