#!/usr/bin/env -S cbuild build -f
# check=skip=all
# escape=`
FROM scratch
CMD a \
  b
