FROM x
RUN one\
two\
   three \  	
four

RUN blank \

    lines \
	
    inside
RUN escaped\\
RUN three\\\
RUN \
  \
 alone
RUN end \
