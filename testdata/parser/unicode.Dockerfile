FROM x
ENV name=é日本 nbsp=a b=c
RUN echo "한국어"
COPY --exclude=ü* ä /ö
LABEL q="“quoted”"
