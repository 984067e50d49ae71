# syntax=docker/dockerfile:1
# Escape = `
# check=skip=JSONArgsRecommended;error=true
# foo=bar
# escape=\

FROM windows AS Base
RUN dir `
    c:\temp
ENV A=`"q`" B=c:\dir
