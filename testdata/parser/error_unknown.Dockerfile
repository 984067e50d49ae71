FROM x
RNU make
copi a b
Run.x
