# class: a Dockerfile that is a link to a file of the host
# says: way|secret
# exit: 1 2
# options: -f $GUARD/../context/secret-way
FROM base
