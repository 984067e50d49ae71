# class: targets of mounts behind links of the image (CVE-2021-30465)
# says: RUN --mount
# base: links
# exit: 0 1
# options: --secret id=s,src=$GUARD/../context/file
FROM base
RUN --mount=type=tmpfs,target=/way/open touch /way/open/x
RUN --mount=type=cache,target=/way/open/made touch /way/open/made/x
RUN --mount=type=secret,id=s,target=/way/open/by-attacker true
RUN --mount=type=bind,target=/dots/open/made2 true
RUN --mount=type=secret,id=s,target=/file-way true
