#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""enter.py ROOT -- COMMAND...: runs a command of a root file system, in a mount namespace that the caller made.

pivot_root and the system calls around it are called from here, so that the root needs no mount program, no shell, no library.
"""
import ctypes
import os
import sys

MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
libc = ctypes.CDLL(None, use_errno=True)


def call(result, name):
    if result != 0:
        raise OSError(ctypes.get_errno(), name)


def mount(source, target, kind=None, flags=0, data=None):
    encode = [None if text is None else str(text).encode() for text in (source, target, kind)]
    call(libc.mount(*encode, ctypes.c_ulong(flags), None if data is None else data.encode()), f"mount {target}")


def main():
    root, command = sys.argv[1], sys.argv[sys.argv.index("--") + 1:]
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount(root, root, None, MS_BIND | MS_REC)
    os.chdir(root)
    for name in ("proc", "sys", "dev", "tmp", "old"):
        os.makedirs(name, exist_ok=True)
    mount("proc", "proc", "proc")
    mount("/sys", "sys", None, MS_BIND | MS_REC)
    mount("/dev", "dev", None, MS_BIND | MS_REC)
    mount("tmp", "tmp", "tmpfs", 0, "mode=1777")
    call(libc.syscall(SYS_PIVOT_ROOT, b".", b"old"), "pivot_root")
    os.chdir("/")
    call(libc.umount2(b"/old", MNT_DETACH), "umount /old")
    os.rmdir("/old")
    os.execvp(command[0], command)


main()
