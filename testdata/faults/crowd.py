#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many builders and a collector on one store.

    crowd.py CBUILD [--builders 40] [--rounds 2]

forty     builds of different and of equal contexts at once while `prune --all` runs in a loop: all succeed and are right
once      a step that ten builds want at once runs once
handover  the builder that runs a step dies by kill -9 while others wait for it: one of them runs it, the others take its result
long      `prune --all` during a build takes nothing that it has made, uses or will use, nor its cache mounts
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import threading
import time

import rig
import support
from support import check


def prune(the, store):
    return the.run(store, argv=[str(the.cbuild), "prune", "--all", "--force"])


def until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < deadline, f"never: {what}")
        time.sleep(0.01)


def write(context, dockerfile, **files):
    context.mkdir(parents=True, exist_ok=True)
    (context / "Dockerfile").write_text(dockerfile)
    for name, text in files.items():
        (context / name).write_text(text)
    return context


def argv(the, context, *more):
    return [str(the.cbuild), "--progress", "plain", "--build-context", f"base=oci-layout://{the.base}", *map(str, more), str(context)]


def counted(store, name):
    """Lines that steps have written to `name` in cache mounts."""
    return sum(len(path.read_text().splitlines()) for path in store.glob(f"mounts/*/data/{name}"))


def forty(the, options):
    store = the.store("forty")
    contexts = []
    for i in range(8):
        contexts.append(write(the.work / f"forty-{i}", f"""\
FROM base AS one
COPY common /common
RUN cat /common >/made; echo common >>/made
FROM one AS two
COPY own /own
RUN --mount=type=cache,target=/cache echo {i} >>/cache/log; cat /made /own >/both
FROM scratch
COPY --from=two /both /both
COPY --from=one /made /made
""", common="common\n", own=f"own {i}\n"))
    stop, pruned = threading.Event(), [0]

    def collect():
        while not stop.is_set():
            code, text = prune(the, store)
            check(code == 0, f"prune: exit code {code}\n{text}")
            pruned[0] += 1

    def build(number):
        i = number % len(contexts)
        out = the.work / f"forty-{number}.tar"
        code, text = the.run(store, argv=argv(the, contexts[i], "-o", f"type=tar,dest={out}", "-t", f"image-{number}"), timeout=600)
        check(code == 0, f"build {number}: exit code {code}\n{text}")
        tree = {name: entry[-1] for name, entry in support.tree_of(out).items()}
        check(tree == {"both": f"common\ncommon\nown {i}\n".encode(), "made": b"common\ncommon\n"}, f"build {number}: {tree}")
        out.unlink()
    for _ in range(options.rounds):
        stop.clear()
        with concurrent.futures.ThreadPoolExecutor(options.builders + 1) as pool:
            collector = pool.submit(collect)
            builds = [pool.submit(build, n) for n in range(options.builders)]
            try:
                for done in builds:
                    done.result()
            finally:
                stop.set()
            collector.result()
    the.check_nothing_left(store)
    code, text = prune(the, store)
    check(code == 0 and not os.listdir(store / "snapshots"), f"snapshots left after everything was pruned\n{text}")
    print(f"forty: {options.rounds} x {options.builders} builds during {pruned[0]} prunes")


def once(the, options):
    store = the.store("once")
    context = write(the.work / "once-context", "FROM base\nRUN --mount=type=cache,target=/c echo x >>/c/count; sleep 0.5; echo made >/made\n")
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        for code, text in pool.map(lambda _: the.run(store, argv=argv(the, context)), range(10)):
            check(code == 0, text)
    check(counted(store, "count") == 1, f"the step ran {counted(store, 'count')} times")
    the.check_nothing_left(store)
    print("once: 10 builds, 1 run")


def handover(the, options):
    store = the.store("handover")
    context = write(the.work / "handover-context", "FROM base\nRUN --mount=type=cache,target=/c echo x >>/c/count; while [ ! -e /c/go ]; do sleep 0.05; done; echo made >/made\n")
    environment = the.environment(store)
    holder = subprocess.Popen(argv(the, context), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: counted(store, "count") == 1, "the first builder runs the step")
    waiters = [subprocess.Popen(argv(the, context), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
               for _ in range(5)]
    time.sleep(0.3)
    check(counted(store, "count") == 1, "a second builder runs the step at the same time as the first")
    holder.kill()
    holder.wait()
    until(lambda: counted(store, "count") == 2, "another builder takes the step over")
    next(store.glob("mounts/*/data")).joinpath("go").write_text("")
    for waiter in waiters:
        _, text = waiter.communicate(timeout=120)
        check(waiter.returncode == 0, text)
    check(counted(store, "count") == 2, f"the step ran {counted(store, 'count')} times")
    the.check_nothing_left(store)
    print("handover: 5 builds waited for one that was killed, 1 run")


def long(the, options):
    store = the.store("long")
    context = write(the.work / "long-context", """\
FROM base AS first
RUN --mount=type=cache,id=count,target=/c echo x >>/c/count; echo first >/first
FROM base AS second
COPY file /file
RUN --mount=type=cache,id=live,target=/live --mount=from=first,target=/other \\
    echo token >/live/token; touch /live/waiting; while [ ! -e /live/go ]; do sleep 0.05; done; \\
    cat /live/token /other/first /file >/second; ls /bin >/list
FROM scratch
COPY --from=first /first /first
COPY --from=second /second /second
COPY --from=second /list /list
""", file="file\n")
    out = the.work / "long.tar"
    building = subprocess.Popen(argv(the, context, "-o", f"type=tar,dest={out}"), env=the.environment(store), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until(lambda: list(store.glob("mounts/*/data/waiting")), "the long step waits")
    for _ in range(5):
        code, text = prune(the, store)
        check(code == 0, text)
    live = next(store.glob("mounts/*/data/waiting")).parent
    check((live / "token").read_text() == "token\n", "prune took a live cache mount")
    pathlib.Path(live / "go").write_text("")
    _, text = building.communicate(timeout=120)
    check(building.returncode == 0, text)
    check("the steps that made it are run" not in text, text)
    tree = support.tree_of(out)
    check(tree["second"][-1] == b"token\nfirst\nfile\n" and tree["first"][-1] == b"first\n" and tree["list"][-1], f"{tree}")
    check(text.count("RUN --mount=type=cache,id=count") and "CACHED" not in text, text)
    the.check_nothing_left(store)
    print("long: 5 prunes during one step")


def run(the, options):
    code, text = the.run(the.store("reference"), argv=[str(the.cbuild), "prune", "--help"])
    check(code == 0, f"no prune command\n{text}")
    for scene in (once, handover, long, forty):
        if options.scene in scene.__name__:
            scene(the, options)


if __name__ == "__main__":
    parser = rig.arguments(__doc__)
    parser.add_argument("--builders", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--scene", default="")
    arguments = parser.parse_args()
    sys.exit(rig.main("crowd", arguments, run))
