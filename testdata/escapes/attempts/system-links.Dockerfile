# class: directories that the sandbox mounts, as links of the image (CVE-2021-30465, CVE-2025-31133)
# says: FROM base
# base: system-links
# exit: 0 1 4
FROM base
RUN touch /dev/by-attacker /etc/by-attacker /sys/by-attacker; true
