# SPDX-License-Identifier: Apache-2.0
"""stages.py COUNT: a Dockerfile of so many stages that run at once, and one that copies from each."""
import sys

count = int(sys.argv[1])
lines = []
for i in range(count):
    lines += [f"FROM base AS s{i}", f"RUN echo {i} >/f{i}"]
lines += ["FROM base AS all"] + [f"COPY --from=s{i} /f{i} /d/" for i in range(count)]
print("\n".join(lines))
