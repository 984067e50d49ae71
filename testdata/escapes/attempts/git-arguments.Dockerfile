# class: arguments of git in a source (CVE-2026-33748)
# says: ADD
# exit: 1
FROM base
ARG GUARD
ADD https://127.0.0.1:1/x.git#--upload-pack=touch${GUARD}/open/by-attacker /x
