FROM x
ENV a=1 b="x y" c='u v' d=w\ z e="q\"r" f='s\'
ENV legacy  the rest "of" the line
ENV "quoted key"=v empty= tricky=a=b=c
ENV long=1 \
    more="2a \
    2b" \
# comment
    last=3
ENV unclosed="x y
LABEL com.example/a="b c" d=e
LABEL single value words
