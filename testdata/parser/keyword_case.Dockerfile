from x
Run a
cMd ["b"]
