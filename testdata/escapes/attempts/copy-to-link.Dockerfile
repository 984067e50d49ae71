# class: destinations behind links of the image
# says: COPY file /way/open/by-attacker
# base: links
# exit: 0 1
FROM base
COPY file /way/open/by-attacker
COPY file /file-way
COPY file /etc-way/
COPY --chmod=4777 --chown=1:1 file /dots/victim
ADD dots.tar /etc-way/
