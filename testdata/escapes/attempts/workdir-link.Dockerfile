# class: a working directory behind a link of the image
# says: WORKDIR /way/open/new
# base: links
# exit: 0 1
FROM base
WORKDIR /way/open/new
WORKDIR /dots/open/new
WORKDIR /etc-way/new
RUN touch here
