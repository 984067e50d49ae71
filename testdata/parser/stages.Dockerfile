FROM a AS Build
RUN x
from b as test.2-x_y
FROM --platform=linux/arm64 build
FROM build AS build
FROM scratch
COPY --from=build /a /
