#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which tests notice which mutation.

    run.py SOURCE_DIR [MODULE | MODULE:ID]... [--units] [--jobs N]

Builds the sources once with every mutation as a choice (switch.py) below SOURCE_DIR/build/mutate, sees that the tests pass with none chosen, then
runs for each mutation the unit tests of its module and, where they notice nothing, the end-to-end tests that its row names, until one fails or
takes several times longer than it should. Each test runs in a cage: namespaces of its own, everything but the scratch space read-only.
The output of the tests is in build/mutate/logs.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import rows as rows_of
import switch

FLAGS = ["-DBUILD_TESTING=ON", "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g0 -DNDEBUG"]
# Whatever a mutation does: only a tmpfs of the test's own (at $1), which also stands for /tmp, /var/tmp and the work directories of the build ($2), and
# the base images ($3) can be written. In memory, tests do not wait for the syncs of what else runs. The device nodes are its own: modes and owners
# of the machine's would change through any mount of them. The second mount of /sys, as it was, is for the kernel: while all that it sees are
# read-only, a user namespace may not mount one that is not.
CAGE = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 own "$1"
mkdir "$1/sys"
for name in tmp var e2e differential; do mkdir -m 1777 "$1/$name"; done
mount --bind "$1/tmp" /tmp
mount --bind "$1/var" /var/tmp
mount --bind "$1/e2e" "$2/e2e"
mount --bind "$1/differential" "$2/differential"
mount --bind "$3" "$3"
mount -t tmpfs -o mode=755 cage /dev
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; mknod -m 666 /dev/full c 1 7; mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/tty c 5 0; mknod -m 644 /dev/kmsg c 1 11; mknod -m 600 /dev/loop-control c 10 237
for number in 0 1 2 3 4 5 6 7; do mknod -m 600 /dev/loop$number b 7 $number; done
mkdir /dev/pts /dev/shm /dev/net
mknod -m 666 /dev/net/tun c 10 200; mknod -m 600 /dev/fuse c 10 229
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
ln -s pts/ptmx /dev/ptmx; ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin; ln -s /proc/self/fd/1 /dev/stdout; ln -s /proc/self/fd/2 /dev/stderr
mount --bind /sys "$1/sys"
mount -o remount,bind,ro /sys
mount -o remount,bind,ro /
cd "$1/tmp"
shift 3
set +e
"$@"
exit $?
"""


def environment(number, scratch):
    return {**os.environ, "CBUILD_MUTANT": str(number), "CBUILD_E2E_BASES": str(scratch / "bases")}


class Tests:
    """The tests of the switched build and how long each takes when nothing is changed."""

    def __init__(self, scratch):
        self.scratch, self.build = scratch, scratch / "tree" / "build" / "gcc"
        shown = subprocess.run(["ctest", "--test-dir", self.build, "--show-only=json-v1"], check=True, capture_output=True, text=True)
        self.commands = {test["name"]: test["command"] for test in json.loads(shown.stdout)["tests"] if "command" in test}
        for command in self.commands.values():
            if command[0].endswith("_test"):
                command.append("--abort-after=1")  # one failure is enough
        self.seconds, self.broken, self.guards = {}, set(), {}
        self.guard = threading.Lock()
        for place in (self.build / "e2e", self.build / "differential", scratch / "bases"):
            place.mkdir(exist_ok=True)

    def command(self, name, number):
        """With a program that chooses the mutation itself, because some cases clear the environment."""
        cbuild = str(self.build / "cli" / "cbuild")
        chooser = self.scratch / "programs" / str(number) / "cbuild"
        with self.guard:
            if not chooser.exists():  # not again while another test may run it
                chooser.parent.mkdir(parents=True, exist_ok=True)
                chooser.write_text(f'#!/bin/sh\nCBUILD_MUTANT={number} exec {cbuild} "$@"\n')
                chooser.chmod(0o755)
        return [str(chooser) if word == cbuild else word for word in self.commands[name]]

    def run(self, name, number, timeout):
        """True if it passed."""
        own = self.scratch / "own" / f"{number}-{threading.get_ident()}"
        own.mkdir(parents=True, exist_ok=True)
        log = self.scratch / "logs" / str(number) / (name.replace("/", "-") + ".txt")
        log.parent.mkdir(parents=True, exist_ok=True)
        argv = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", CAGE, "cage", str(own),
                str(self.build), str(self.scratch / "bases"), *self.command(name, number)]
        with open(log, "wb") as out:
            process = subprocess.Popen(argv, env=environment(number, self.scratch), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       start_new_session=True)
            try:
                return process.wait(timeout) == 0
            except subprocess.TimeoutExpired:
                out.write(f"\nnot done after {timeout:.0f} s\n".encode())
                return False
            finally:
                process.kill()
                process.wait()
                own.rmdir()

    def see_unchanged(self, name):
        """How long it takes with nothing changed, which it has to pass; tried once for each test, so that the log is that of a failure."""
        with self.guard:
            own = self.guards.setdefault(name, threading.Lock())
        with own:
            if name not in self.commands:
                raise rows_of.Stale(f"ctest has no test {name}")
            if name not in self.seconds:
                started = time.monotonic()
                if name in self.broken or not self.run(name, 0, 1200):
                    self.broken.add(name)
                    raise rows_of.Stale(f"{name} fails with nothing changed; see {self.scratch}/logs/0")
                self.seconds[name] = time.monotonic() - started
            return self.seconds[name]

    def notices(self, name, number):
        return not self.run(name, number, 30 + 5 * self.see_unchanged(name))


def build(sources, scratch, rows):
    tree = scratch / "tree"
    switch.copy_tree(sources, tree, rows_of.located(sources))
    env = {**os.environ, "CCACHE_BASEDIR": str(tree), "CCACHE_NOHASHDIR": "1"}
    subprocess.run(["cmake", "--preset", "gcc", *FLAGS], cwd=tree, env=env, check=True, stdout=subprocess.DEVNULL)
    units = sorted({unit.replace("/", "_") + "_test" for row in rows for unit in row.units})
    subprocess.run(["cmake", "--build", "build/gcc", "--target", "cbuild", *units, "--", "-k", "0"], cwd=tree, env=env, check=True)


def caught_by(tests, row, only_units):
    """The name of the test that notices the row, or None."""
    for name in [*row.units, *([] if only_units else row.end)]:
        if tests.notices(name, row.number):
            return name
    return None


def chosen_rows(words):
    rows = rows_of.load()
    chosen = [row for row in rows if not words or row.module in words or row.name in words]
    unknown = [word for word in words if not any(word in (row.module, row.name) for row in rows)]
    if unknown:
        raise rows_of.Stale(f"no module or mutation of this name: {', '.join(unknown)}; modules: {', '.join(sorted({row.module for row in rows}))}")
    return chosen


def judge(tests, pool, rows, only_units):
    """Test by row name; prints each as it is known."""
    found = {}

    def one(row):
        found[row.name] = caught_by(tests, row, only_units)
        print(f"{row.name:<42} {found[row.name] or 'NOTHING: ' + row.wrong}", flush=True)
    list(pool.map(one, rows))
    return found


def table(rows, found):
    """Counts by module, as docs/testing.md has them."""
    count = collections.defaultdict(collections.Counter)
    for row in rows:
        how = "nothing" if found[row.name] is None else "unit" if found[row.name] in row.units else "end"
        count[row.module][how] += 1
        count["all"][how] += 1
    lines = ["| module | mutations | unit tests | end to end | nothing |", "|---|---|---|---|---|"]
    for module, c in count.items():
        lines.append(f"| {module} | {c.total()} | {c['unit']} | {c['end']} | {c['nothing']} |")
    return "\n".join(lines[:2] + sorted(lines[2:], key=lambda line: line.startswith("| all ")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("sources", type=pathlib.Path)
    parser.add_argument("words", nargs="*", metavar="MODULE | MODULE:ID")
    parser.add_argument("--units", action="store_true", help="no end-to-end tests")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_intermixed_args()
    sources = options.sources.resolve()
    scratch = sources / "build" / "mutate"
    try:
        rows = chosen_rows(options.words)
        build(sources, scratch, rows)
        tests = Tests(scratch)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            found = judge(tests, pool, rows, options.units)
    except (rows_of.Stale, switch.Overlap) as problem:
        print(problem, file=sys.stderr)
        return 1
    print("\n" + table(rows, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
