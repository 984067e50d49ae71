# SPDX-License-Identifier: Apache-2.0
"""The Dockerfiles that the benchmark builds. A row makes a context with a nonce (so that a cold build finds nothing) and knows one edit."""
import os
import pathlib
import random


class Row:
    """`runs`: at most so many, for rows that take minutes with some builders; `timeout`: seconds a builder has for one build."""

    def __init__(self, name, title, make, edit=None, kinds=("cold", "no-op", "edit"), timeout=300, runs=99):
        self.name, self.title, self.make, self.timeout, self.runs = name, title, make, timeout, runs
        self.edit = edit or edit_source
        self.kinds = kinds


def write(context: pathlib.Path, dockerfile: str, **files: str):
    (context / "Dockerfile").write_text(dockerfile)
    for name, text in files.items():
        (context / name).write_text(text)


def edit_source(context: pathlib.Path, run: int):
    with open(context / "source", "a") as file:
        file.write(f"edit {run} {random.random()}\n")


def steps_20(context, nonce):
    """Two stages, 20 steps; the source is copied as the sixth, so an edit reruns 14."""
    build = "".join(f"RUN echo dependency {i} > /d{i}\n" for i in range(4))
    after = "".join(f"RUN cat /src/source > /o{i}\n" for i in range(11))
    write(context, f"FROM base AS build\nENV NONCE={nonce}\n{build}WORKDIR /src\nCOPY source /src/source\n{after}"
          "FROM base\nCOPY --from=build /o1 /o1\nCOPY --from=build /o2 /o2\nRUN test -s /o1\n", source=nonce)


def chain(count):
    def make(context, nonce):
        lines = "".join(f"RUN echo {i} > /f{i}\n" for i in range(count))
        write(context, f"FROM base\nENV NONCE={nonce}\nCOPY source /source\n{lines}", source=nonce)
    return make


def sleepers(context, nonce):
    """16 independent stages that sleep for 2 s each, gathered in one."""
    stages = "".join(f"FROM base AS s{i}\nENV NONCE={nonce}\nRUN sleep 2 && echo {i} > /out\n" for i in range(16))
    copies = "".join(f"COPY --from=s{i} /out /out{i}\n" for i in range(16))
    write(context, f"{stages}FROM base\n{copies}", source=nonce)


def small_files(count):
    def make(context, nonce):
        write(context, "FROM base\nCOPY . /src\n", source=nonce)
        for d in range(count // 500):
            directory = context / f"dir{d:03}"
            directory.mkdir()
            for f in range(500):
                (directory / f"file{f:03}.txt").write_text(f"{nonce} {d} {f}\n" * 8)
    return make


def big_layer(context, nonce):
    """One file of 700 MB: half random, half text."""
    write(context, "FROM base\nCOPY big /big\n", source=nonce)
    text = (f"{nonce} the quick brown fox jumps over the lazy dog\n" * 20000).encode()
    with open(context / "big", "wb") as file:
        for _ in range(350):
            file.write(os.urandom(1 << 20))
            file.write((text * 2)[: 1 << 20])


def stages(count):
    """Chained stages that copy a file each: FROM the one before."""
    def make(context, nonce):
        lines = [f"FROM base AS s0\nENV NONCE={nonce}\nCOPY source /f0"]
        lines += [f"FROM s{i - 1} AS s{i}\nCOPY source /f{i}" for i in range(1, count)]
        write(context, "\n".join(lines) + "\n", source=nonce)
    return make


ALL = [
    Row("steps-20", "20 steps, two stages; the edit reruns 14", steps_20),
    Row("chain-100", "100 RUN in a row", chain(100), runs=2),
    Row("sleepers-16", "16 stages that sleep 2 s", sleepers, kinds=("cold", "no-op"), runs=2),
    Row("files-50000", "a context of 50,000 small files", small_files(50000), runs=1),
    Row("layer-700MB", "COPY of 700 MB to a finished image", big_layer, kinds=("cold", "no-op"), runs=2),
    Row("stages-100", "100 chained stages", stages(100), kinds=("cold", "no-op")),
    Row("stages-200", "200 chained stages", stages(200), kinds=("cold", "no-op"), timeout=200),
    Row("stages-300", "300 chained stages", stages(300), kinds=("cold", "no-op"), timeout=200, runs=2),
    Row("stages-1000", "1,000 chained stages", stages(1000), kinds=("cold", "no-op"), timeout=200, runs=2),
]
