# class: none: a step prints the word that the attacker's program prints. The runner has to notice it
# says: DONE
# caught: true
FROM base
RUN echo ESCAPED
