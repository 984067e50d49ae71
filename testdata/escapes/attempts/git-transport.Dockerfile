# class: transports of git that run commands
# says: ADD|git
# exit: 1
FROM base
ARG GUARD
ADD ext::sh%20-c%20touch%20${GUARD}/open/by-attacker.git /x
ADD git@--upload-pack=touch${GUARD}/open/by-attacker:x.git /y
