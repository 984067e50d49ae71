#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A full disk at every write of a build.

    full_disk.py CBUILD [--points 60]

The store lies on a file system of its own that is made smaller step by step: bytes on tmpfs, inodes on tmpfs, bytes on ext4 (if there are loop
devices), from an empty store and from a warm one in which an edit makes steps run. Wherever the space ends, the build ends with exit code 1 or 3 and
says that there is no space and where; no output file is left, whole or in part; and with more space the next build is right.
Removals work without any space: prune, history rm, images rm.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import rig
import support
from support import check

NO_SPACE = re.compile(r"No space left on device|database or disk is full")
HINT = re.compile(r"hint: .*(store is at|make room|free)")


class Disk:
    """A mounted file system at store; `limit` is the room that is left."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)

    def unmount(self):
        subprocess.run(["umount", self.path], check=True)


class Tmpfs(Disk):
    def __init__(self, path, what="size"):
        super().__init__(path)
        self.what = what
        check(support.mount_tmpfs(path, "size=256m,mode=755"), "cannot mount a tmpfs")

    def used(self):
        st = os.statvfs(self.path)
        return (st.f_blocks - st.f_bfree) * st.f_frsize if self.what == "size" else st.f_files - st.f_ffree

    def leave(self, amount):
        """Bytes or inodes; None for plenty."""
        option = "size=256m,nr_inodes=100000" if amount is None else f"{self.what}={max(1, self.used() + amount)}"
        done = subprocess.run(["mount", "-o", f"remount,{option}", self.path], capture_output=True, text=True)
        check(done.returncode == 0, f"remount,{option}: {done.stderr}")


def mount_loop(image, path):
    """Tried again for a while, because another process may take the free device that mount has found."""
    for _ in range(20):
        done = subprocess.run(["mount", "-o", "loop", image, path], capture_output=True, text=True)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise support.Failure(f"mount -o loop: {done.stderr.strip()}")


class Ext4(Disk):
    """Without blocks set aside for root; space is taken by a file.

    Each has an image of its own: while any other mount namespace still has a copy of a mount, its loop device stays attached, and
    `mount -o loop` of the same file takes that very device, with the old file system in its caches over what mkfs has written since.
    """

    what = "size"

    def __init__(self, path):
        super().__init__(path)
        with tempfile.NamedTemporaryFile(suffix=".img", dir=path.parent) as image:
            image.truncate(96 << 20)
            subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-N", "20000", image.name], check=True, capture_output=True)
            mount_loop(image.name, path)

    def used(self):
        st = os.statvfs(self.path)
        return (st.f_blocks - st.f_bfree) * st.f_frsize

    def leave(self, amount):
        filler = self.filler = self.path / ".filler"
        filler.unlink(missing_ok=True)
        os.sync()
        if amount is None:
            return
        st = os.statvfs(self.path)
        with open(filler, "wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, max(1, st.f_bavail * st.f_frsize - amount))
            except OSError as error:
                check(error.errno == 28, str(error))


def need_of(the, make_disk, warm):
    """How much a build takes when there is plenty."""
    disk = make_disk()
    store = the.store("store")
    try:
        if warm:
            prepare(the, store)
        before = disk.used()
        the.set_stamp(rig.STAMP)
        code, text = the.run(store, "-o", f"type=oci,dest={store}/out.tar")
        check(code == 0, text)
        return disk.used() - before
    finally:
        disk.unmount()


def prepare(the, store):
    the.set_stamp("STAMP-BEFORE00")
    code, text = the.run(store)
    check(code == 0, text)


def one_point(the, make_disk, warm, amount):
    """True if the build had space enough."""
    disk = make_disk()
    store = the.store("store")
    try:
        if warm:
            prepare(the, store)
        the.set_stamp(rig.STAMP)
        disk.leave(amount)
        code, text = the.run(store, "-o", f"type=oci,dest={store}/out.tar")
        shown = f"{amount} left: exit code {code}\n{text}"
        if code == 0:
            check((store / "out.tar").stat().st_size > 0, shown)
            (store / "out.tar").unlink()
        else:
            check(code in (1, 3), shown)
            check(NO_SPACE.search(text), "no word of the full disk; " + shown)
            check(HINT.search(text) or "did not complete successfully" in text, "no hint; " + shown)
        left = [name for name in os.listdir(store) if name.startswith("out.tar")]
        check(not left, f"left: {left}; {shown}")
        disk.leave(None)
        the.check_result(store)
        the.check_nothing_left(store)
        return code == 0
    except support.Failure as failure:
        raise support.Failure(f"{type(disk).__name__}/{disk.what}, {'warm' if warm else 'cold'}, {amount} left: {failure}")
    finally:
        disk.unmount()
        shutil.rmtree(store, ignore_errors=True)


def tool(the, store, *words):
    return the.run(store, argv=[str(the.cbuild), *words])


def removal(the, name, make_disk, amount, reserve):
    """Removals work on a disk that is full, and make room; with `reserve` False in a store that has used its reserve up."""
    disk = make_disk()
    store = the.store("store")
    try:
        prepare(the, store)
        the.set_stamp(rig.STAMP)
        code, text = the.run(store, "-t", "kept:1")
        check(code == 0, text)
        if not reserve:
            shutil.rmtree(store / "reserve")
        before = disk.used()
        for words in (("history", "rm", "^1"), ("images", "rm", "kept:1"), ("prune", "--force", "--all"), ("history", "rm", "--all")):
            disk.leave(amount)
            code, text = tool(the, store, *words)
            check(code == 0, f"{' '.join(words)}: exit code {code}\n{text}")
            check("removed: " in text or "Total: " in text, text)
        if hasattr(disk, "filler"):
            disk.leave(None)
        check(disk.used() < before, f"prune made no room: {before} before, {disk.used()} after\n{text}")
        check(not os.listdir(store / "snapshots"), f"prune left {os.listdir(store / 'snapshots')}")
        disk.leave(None)
        the.check_result(store)
        the.check_nothing_left(store)
    except support.Failure as failure:
        raise support.Failure(f"removal, {name}, {amount} left, {'with' if reserve else 'without'} a reserve: {failure}")
    finally:
        disk.unmount()
        shutil.rmtree(store, ignore_errors=True)


def removals(the, name, make_disk, unit):
    for reserve in (True, False):
        for amount in (0, unit, 3 * unit):
            removal(the, name, make_disk, amount, reserve)
    print(f"{name}: prune, history rm and images rm work without space")


def sweep(the, name, make_disk, points):
    for warm in (False, True):
        need = need_of(the, make_disk, warm)
        # Dense where the small writes of the index and the last writes of the export are.
        unit = 4096 if "inodes" not in name else 1
        # More than it takes in the end, because it takes more on the way: the index has a log.
        amounts = sorted({need * i // points // unit * unit for i in range(points * 3 // 2)} | {unit * i for i in range(12)} |
                         {need - unit * i for i in range(6) if need > unit * i} | {need * 2 + 2000 * unit})
        results = [one_point(the, make_disk, warm, amount) for amount in amounts]
        check(not results[0], f"{name}: the build worked without space")
        check(results[-1], f"{name}: the build did not work with {amounts[-1]}, but takes {need}")
        print(f"{name}, {'warm' if warm else 'cold'} store: needs {need}, {len(amounts)} points, {results.count(False)} of them too small")


def run(the, options):
    store = the.store("store")
    removals(the, "tmpfs bytes", lambda: Tmpfs(store), 4096)
    removals(the, "tmpfs inodes", lambda: Tmpfs(store, "nr_inodes"), 1)
    if shutil.which("mkfs.ext4"):
        removals(the, "ext4 bytes", lambda: Ext4(store), 4096)
    if options.removals:
        return
    sweep(the, "tmpfs bytes", lambda: Tmpfs(store), options.points)
    sweep(the, "tmpfs inodes", lambda: Tmpfs(store, "nr_inodes"), options.points // 2)
    if shutil.which("mkfs.ext4") is None:
        print("ext4: not tried, there is no mkfs.ext4")
        return
    try:
        Ext4(store).unmount()
    except support.Failure as failure:
        print(f"ext4: not tried: {failure}")
        return
    sweep(the, "ext4 bytes", lambda: Ext4(store), options.points // 3)


if __name__ == "__main__":
    parser = rig.arguments(__doc__)
    parser.add_argument("--points", type=int, default=60)
    parser.add_argument("--removals", action="store_true", help="only the removals")
    arguments = parser.parse_args()
    sys.exit(rig.main("full-disk", arguments, run))
