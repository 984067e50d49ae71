# SPDX-License-Identifier: Apache-2.0
"""The rows of `--rows fresh`: what a machine does that has nothing yet. A row is a context and a sequence of builds."""
import dataclasses
import os
import pathlib
import random
import typing

from rows import write


@dataclasses.dataclass(frozen=True)
class Build:
    """One build of a row's sequence. `kind` names it in the table; without one it only prepares the next. `empty`: on an empty
    store, as every first one; `make`: of another context than before; `edit`: after one line was added to the file `source`; `no_image`: builders that can leave the result in their cache do."""
    kind: str = ""
    empty: bool = False
    make: typing.Callable | None = None
    edit: bool = False
    push: bool = False
    archive: bool = False
    cache_from: bool = False
    cache_to: bool = False
    no_image: bool = False
    at_once: int = 1


@dataclasses.dataclass(frozen=True)
class Row:
    """`make` writes a context: make(directory, nonce, registry). `needs`: what a builder has to know ("cache", "archive", "store")."""
    name: str
    title: str
    make: typing.Callable
    builds: tuple
    needs: frozenset = frozenset()


def edit_source(context: pathlib.Path):
    with open(context / "source", "a") as file:
        file.write(f"edit {random.random()}\n")


def one_run(base):
    return lambda context, nonce, registry: write(context, f"FROM {registry}/{base}\nRUN echo {nonce} > /nonce\n")


def one_copy(flags=""):
    return lambda context, nonce, registry: write(context, f"FROM {registry}/debian\nCOPY {flags} source /f\n", source=nonce)


def big_layer(context, nonce, registry):
    write(context, f"FROM {registry}/debian\nCOPY big /big\n")
    with open(context / "big", "wb") as file:
        for _ in range(400):
            file.write(os.urandom(1 << 20))


def ci(context, nonce, registry):
    """30 steps in two stages: ten layers of dependencies (2 MB, 100 files each), ten small steps on the source, an image."""
    write_files = "mkdir -p /deps/{i} && for f in $(seq 100); do head -c 20000 /dev/urandom > /deps/{i}/$f; done"
    lines = [f"FROM {registry}/debian AS build", f"ENV NONCE={nonce}", "WORKDIR /src"]
    lines += ["RUN " + write_files.format(i=i) for i in range(10)]
    lines += ["COPY . /src", "RUN gcc -O1 -o /main main.c"] + [f"RUN sort source > /o{i}" for i in range(9)]
    lines += [f"FROM {registry}/debian"] + [f"COPY --from=build /o{i} /o{i}" for i in range(5)]
    lines += ["COPY --from=build /main /main", "RUN /main", "RUN python3 -c 'open(\"/made\", \"w\").write(\"x\")'"]
    write(context, "\n".join(lines) + "\n", source=nonce + "\n", **{"main.c": "int main(void) { return 0; }\n"})


def run_files(context, nonce, registry):
    write(context, f"FROM {registry}/debian\nENV NONCE={nonce}\nRUN cp -a /usr /copy\n")


def copy_from(context, nonce, registry):
    write(context, f"FROM {registry}/debian AS base\nFROM {registry}/busybox\nLABEL nonce={nonce}\nCOPY --from=base /usr /usr2\n")


def small_steps(context, nonce, registry):
    write(context, f"FROM {registry}/busybox\nENV NONCE={nonce}\nCOPY source /source\n" + "RUN cat /source >> /out\n" * 3, source=nonce)


def many_files(context, nonce, registry):
    """50,000 files, 165 MB, and a command that reads their names."""
    write(context, f"FROM {registry}/busybox\nENV NONCE={nonce}\nCOPY . /src\nRUN find /src -type f | wc -l > /count\n", source=nonce)
    for directory in (context / f"dir{d:03}" for d in range(100)):
        directory.mkdir()
        for f in range(500):
            (directory / f"file{f:03}.txt").write_text(f"{nonce} {directory.name} {f}\n{'text ' * 650}\n")


SHARED = {"push": True, "cache_to": True}
ALL = [
    Row("pull-run", "FROM a base of 450 MB in one layer, one RUN", one_run("debian"), (Build("cold"),)),
    Row("pull-run-layers", "the same base in four layers", one_run("debian-layers"), (Build("cold"),)),
    Row("pull-push", "FROM the base, COPY of a file, push to the base's registry", one_copy(),
        (Build("never seen", push=True), Build("link", empty=True, make=one_copy("--link"), push=True))),
    Row("pull-push-known", "the same where another machine has looked into the base before", one_copy(),
        (Build(**SHARED), Build("known", empty=True, edit=True, push=True, cache_from=True)), frozenset({"cache"})),
    Row("push-400MB", "push of a new layer of 400 MB that is built already", big_layer,
        (Build(), Build("new", push=True), Build("again", push=True)), frozenset({"store"})),
    Row("ci", "30 steps on the base, push, --cache-to mode=max", ci,
        (Build("cold", **SHARED), Build("same", empty=True, cache_from=True, **SHARED),
         Build("edit", empty=True, edit=True, cache_from=True, **SHARED)), frozenset({"cache"})),
    Row("run-files", "RUN that writes 400 MB in 14,000 files, OCI archive", run_files, (Build("cold", archive=True),),
        frozenset({"archive"})),
    Row("run-push", "the same layer, pushed to the base's registry", run_files, (Build("cold", push=True),)),
    Row("copy-from", "COPY --from=base /usr into a small base, OCI archive", copy_from, (Build("cold", archive=True),),
        frozenset({"archive"})),
    Row("builds-20", "20 builds at once on one store that has the base", small_steps,
        (Build(make=one_run("busybox")), Build("cold", make=small_steps, at_once=20)), frozenset({"store"})),
    Row("copy-50000-run", "COPY of 50,000 files (165 MB) and a RUN after it", many_files,
        (Build(make=one_run("busybox")), Build("cold", make=many_files, no_image=True), Build("edit", edit=True, no_image=True)),
        frozenset({"store"})),
]
