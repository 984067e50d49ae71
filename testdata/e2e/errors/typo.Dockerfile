FROM base
RUNN x
COPPY a b
