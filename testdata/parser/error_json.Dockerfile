FROM x
CMD ["a", 1]
RUN [["a"]]
COPY ["a", null]
HEALTHCHECK CMD [{}]
