# SPDX-License-Identifier: Apache-2.0
"""One small build for all fault runners: every kind of step, milliseconds long, with a result that is known beforehand."""
import argparse
import copy
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import support  # noqa: E402
from support import check  # noqa: E402

DOCKERFILE = """\
FROM base AS tools
WORKDIR /work
COPY tools /work/tools
RUN --mount=type=cache,target=/cache echo x >>/cache/log && cat tools/* >all

FROM base AS made
COPY stamp /stamp
RUN mkdir -p /out/deep && cp /stamp /out/deep/stamp && ln -s deep/stamp /out/link && ln /out/deep/stamp /out/hard && chown 1000:1000 /out/deep
RUN --mount=from=tools,source=/work,target=/tools cat /tools/all /stamp >/out/both && rm /etc/group
COPY --link more /more

FROM scratch
COPY --from=made /out /out
COPY --from=made /more /more
COPY --from=tools /work/all /all
"""
STAMP = "STAMP-00000000"


class Rig:
    """Contexts and stores below `work`."""

    sync = "end"  # whatever the machine is that the tests run on

    def __init__(self, cbuild, work):
        self.cbuild, self.work = cbuild.resolve(), work
        self.base = work / "base"
        shutil.copytree(support.base_layout(), self.base)
        self.context = work / "context"
        self.write_context()
        self.expected = self.result(self.store("reference"))

    def write_context(self):
        for name, text in (("Dockerfile", DOCKERFILE), ("stamp", STAMP), ("tools/a", "a"), ("tools/b", "b"), ("more/x", "x" * 5000)):
            path = self.context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def fork(self, name):
        """Another one with places of its own, for use by another thread."""
        other = copy.copy(self)
        other.work = self.work / name
        other.work.mkdir()
        other.context = other.work / "context"
        other.write_context()
        return other

    def store(self, name):
        return self.work / name

    def set_stamp(self, stamp):
        (self.context / "stamp").write_text(stamp)

    def argv(self, *more):
        return [str(self.cbuild), "--progress", "plain", "--build-context", f"base=oci-layout://{self.base}", *[str(m) for m in more], str(self.context)]

    def environment(self, store):
        return {**os.environ, "CBUILD_ROOT": str(store), "CBUILD_SYNC": self.sync}

    def start(self, store, *more, **how):
        return subprocess.Popen(self.argv(*more), env=self.environment(store), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **how)

    def run(self, store, *more, argv=None, timeout=120, **how):
        """Exit code and output."""
        done = subprocess.run(argv or self.argv(*more), env=self.environment(store), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=timeout, **how)
        return done.returncode, done.stdout + done.stderr

    def result(self, store, output_dir=None, **how):
        """Builds to the end and returns the files and the config of the image."""
        out = pathlib.Path(tempfile.mkdtemp(dir=output_dir or self.work))
        code, text = self.run(store, "-o", f"type=tar,dest={out}/root.tar", "-o", f"type=oci,tar=false,dest={out}/layout", **how)
        check(code == 0, f"exit code {code}\n{text}")
        self.last_text = text
        tree = support.tree_of(out / "root.tar")
        config = support.config_of(out / "layout")
        self.verify_layout(out / "layout")
        shutil.rmtree(out)
        return tree, config

    @staticmethod
    def verify_layout(layout):
        """Every blob of a layout has the digest of its name."""
        for blob in (layout / "blobs" / "sha256").iterdir():
            check(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name, f"{blob} does not match its digest")

    def check_result(self, store, stamp=STAMP, output_dir=None, **how):
        tree, config = self.result(store, output_dir, **how)
        want_tree, want_config = self.expected
        want_tree = {name: (*entry[:-1], entry[-1].replace(STAMP.encode(), stamp.encode()) if isinstance(entry[-1], bytes) else entry[-1])
                     for name, entry in want_tree.items()}
        wrong = [f"{n}: {tree.get(n)}, expected {want_tree.get(n)}" for n in sorted(tree.keys() | want_tree.keys()) if tree.get(n) != want_tree.get(n)]
        check(not wrong, "the result differs from that of an undisturbed build:\n" + "\n".join(wrong[:10]))
        check(config == want_config, f"config {config}, expected {want_config}")

    def check_nothing_left(self, store):
        check(not support.processes_of(store), f"processes left: {support.processes_of(store)}")
        mounts = [m for m in support.mounts_below(store) if m != str(store)]
        check(not mounts, f"mounts left: {mounts}")
        tmp = store / "tmp"
        left = os.listdir(tmp) if tmp.is_dir() else []
        check(not left, f"left in tmp: {left}")


def wait_for_death(store):
    """Children of a killed builder die with it, but the kernel takes its time."""
    deadline = time.monotonic() + 30
    while support.processes_of(store):
        check(time.monotonic() < deadline, f"processes outlive their builder: {support.processes_of(store)}")
        time.sleep(0.005)


class ControlGroup:
    """A place of its own in the hierarchies where cbuild makes control groups, so that leftovers there are ours. Empty where none can be made."""

    def __init__(self):
        self.directories = []
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("", "devices"):
                continue
            for mount in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if controllers == "" else ("/sys/fs/cgroup/devices",):
                directory = pathlib.Path(mount + path.rstrip("/")) / f"test-{os.getpid()}-{os.urandom(4).hex()}"
                try:
                    if (directory.parent / "cgroup.procs").exists():
                        directory.mkdir()
                        self.directories.append(directory)
                        break
                except OSError:
                    continue

    def enter(self):
        for directory in self.directories:
            (directory / "cgroup.procs").write_text(str(os.getpid()))

    def left(self):
        return [str(group) for directory in self.directories for group in directory.iterdir() if group.is_dir()]

    def remove(self):
        for group in self.left():
            os.rmdir(group)
        for directory in self.directories:
            directory.rmdir()


def arguments(about):
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("cbuild", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp"))
    parser.add_argument("--seed", type=int, default=1)
    return parser


def main(name, options, run):
    """Runs `run(rig, options)` in scratch space; its output is the result."""
    os.umask(0o022)
    with support.scratch(name, options.work) as work:
        try:
            run(Rig(options.cbuild, work), options)
        except support.Failure as failure:
            print(f"{name}: FAILED: {failure}")
            return 1
    return 0
