# class: a home directory of the image that is a directory of the host
# says: DONE
# base: home
FROM base
RUN cd; touch "$HOME/open/by-attacker"; cat "$HOME/secret"; true
