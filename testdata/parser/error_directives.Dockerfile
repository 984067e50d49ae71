# escape=x
# check=skip=all
# check=error=true
FROM x
