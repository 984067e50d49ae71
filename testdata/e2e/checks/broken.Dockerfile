FROM scratch AS Broken
COPPY a b
