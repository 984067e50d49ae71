#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs commands at once and says what they took. JSON in, JSON out; a process of its own, small, so that the peak is theirs and not
the benchmark's.

    measured.py {"commands": [[...], ...], "environment": {...}, "namespace": NAME, "user": [UID, GID] or null, "log": PATH}

gives {"seconds": from the first start to the last exit, "codes": [...], "peak_kb": of the largest process, "cpu_s": ...}.
"""
import ctypes
import json
import os
import resource
import signal
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)


def enter(namespace):
    with open(f"/run/netns/{namespace}") as file:
        if LIBC.setns(file.fileno(), 0x40000000) != 0:
            sys.exit(f"setns {namespace}: {os.strerror(ctypes.get_errno())}")


def start(command, job, log):
    pid = os.fork()
    if pid != 0:
        return pid
    try:
        LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execvpe(command[0], command, job["environment"])
    except OSError as error:
        os.write(log, f"{command[0]}: {error}\n".encode())
    os._exit(127)


def main():
    job = json.loads(sys.argv[1])
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    if job["namespace"]:
        enter(job["namespace"])
    if job["user"]:
        uid, gid = job["user"]
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    begin = time.monotonic()
    pids = [start(command, job, log) for command in job["commands"]]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    seconds = time.monotonic() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    json.dump({"seconds": seconds, "codes": codes, "peak_kb": used.ru_maxrss, "cpu_s": used.ru_utime + used.ru_stime}, sys.stdout)


if __name__ == "__main__":
    main()
