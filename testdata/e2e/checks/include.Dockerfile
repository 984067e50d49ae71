# cbuild=include
ARG BASE=scratch
FROM ${BASE} AS first
INCLUDE lib/files.df
