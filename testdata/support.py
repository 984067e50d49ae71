# SPDX-License-Identifier: Apache-2.0
"""Shared by the runners of tests: bases, scratch space, the output of a build, the contents of an image, leftovers."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "e2e"))
import bases  # noqa: E402

# No test depends on the mirrors and registries that this machine has in /etc.
os.environ["CBUILD_ETC"] = "/nonexistent"

STEP = re.compile(r"^#(\d+) \[[^\]]*?\d+/\d+\] (.*)$")
CACHED = re.compile(r"^#(\d+) CACHED$")


class Failure(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failure(message)


def make_bases(names):
    """The folder with the OCI layouts of these base images, shared by all runs on the machine."""
    return bases.make(names, pathlib.Path(os.environ.get("CBUILD_E2E_BASES", "/var/tmp/cbuild-e2e-bases")))


def base_layout():
    """The OCI layout with busybox that all tests stand on."""
    return make_bases(["busybox"]) / "busybox"


def mounts_below(path):
    with open("/proc/self/mountinfo") as mounts:
        return [line.split()[4] for line in mounts if str(path) in line.split()[4]][::-1]


def mount_tmpfs(path, options):
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "cbuild-test", str(path)], capture_output=True, text=True)
    return done.returncode == 0


def private_mounts():
    """Moves the caller into a mount namespace of its own, if it may, before it has threads: no other test's step keeps a copy of its mounts, and
    they are gone with it however it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_namespace, private = 0x20000, 0x4000 | 0x40000  # CLONE_NEWNS; MS_REC | MS_PRIVATE
    if libc.unshare(new_namespace) == 0 and libc.mount(b"none", b"/", None, private, None) != 0:
        raise Failure(f"make / private: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def scratch(name, parent, size="2g"):
    """A directory of its own, in memory if the caller may mount; gone with all mounts afterwards."""
    private_mounts()
    parent.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=parent)).resolve()
    work.chmod(0o755)
    mounted = mount_tmpfs(work, f"size={size},mode=755")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        yield work
    finally:
        for mount in mounts_below(work):
            if not mounted or mount != str(work):
                subprocess.run(["umount", "-l", mount], check=False)
        if mounted:
            subprocess.run(["umount", "-l", work], check=True)
        shutil.rmtree(work, ignore_errors=True)


def steps(stderr):
    """Names of the steps that ran and of those that were cached, of plain progress."""
    names, cached = {}, set()
    for line in stderr.splitlines():
        if found := STEP.match(line):
            names.setdefault(found.group(1), found.group(2))
        elif found := CACHED.match(line):
            cached.add(found.group(1))
    names = {n: s for n, s in names.items() if not s.startswith("FROM ")}
    return [s for n, s in names.items() if n not in cached], [s for n, s in names.items() if n in cached]


def tree_of(archive):
    """The entries of a tar by path, without their times."""
    out = {}
    with tarfile.open(archive) as tar:
        for m in tar:
            xattrs = {k: v for k, v in m.pax_headers.items() if "xattr" in k}
            content = tar.extractfile(m).read() if m.isreg() and m.size < 4096 else m.size
            out[m.name] = (m.type, m.mode, m.uid, m.gid, m.linkname, xattrs, content)
    return out


def read_config(layout):
    """The config document of the newest image in a layout."""
    def blob(digest):
        return json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())
    index = json.loads((layout / "index.json").read_text())
    return blob(blob(index["manifests"][-1]["digest"])["config"]["digest"])


def config_of(layout):
    """Config of the image in a layout, and its history without times."""
    config = read_config(layout)
    return config["config"], [(h.get("created_by"), h.get("empty_layer", False)) for h in config["history"]]


def processes_of(store):
    """Processes that were started with that store."""
    mark, found = f"CBUILD_ROOT={store}".encode(), []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if int(pid) != os.getpid() and mark in environment.split(b"\0"):
            found.append(int(pid))
    return found
