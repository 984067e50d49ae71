# class: setuid programs in the store that others of the machine could start
# says: attempted
FROM base
COPY attacker /attacker
RUN chmod 4755 /attacker && mknod /node c 1 3 2>/dev/null; echo attempted
