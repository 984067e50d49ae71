#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds what a process finds in a step against what it finds in a container of runc.

    run.py CBUILD WORK_DIR [--write]

prober.cc runs as the command of a step in the built-in sandbox, of a step with --runtime runc, and of a container of runc whose config.json
is written here, from what BuildKit gives a RUN. Each property has to be the same in all of them, but for the rows of differences.json: the
property (a wildcard), the two values, the reason. A difference without a row fails, and so does a row without its difference, unless
it is a "maybe", which depends on the kernel, its control groups or the version of runc. --write shows all differences as JSON.

allowed_calls.txt has the system calls that moby's default profile allows with the default capabilities, on x86_64.
"""
import argparse
import fnmatch
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import support  # noqa: E402
from support import Failure, check  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE",
                "SYS_CHROOT", "KILL", "AUDIT_WRITE"]
MASKED = ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
          "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
QUIET = ["nosuid", "noexec", "nodev"]


def compile_prober(target):
    subprocess.run(["c++", "-std=c++20", "-O1", "-static", "-Wall", "-Wextra", "-Werror", "-o", target, HERE / "prober.cc"], check=True)


def in_step(cbuild, prober, work, *options):
    context = work / "context"
    context.mkdir(exist_ok=True)
    shutil.copy(prober, context / "prober")
    (context / "Dockerfile").write_text('FROM scratch\nCOPY prober /prober\nRUN ["/prober", "/result"]\n')
    out = work / "step.tar"
    done = subprocess.run([cbuild, "--root", work / "store", "--progress", "plain", "--no-cache", "-o", f"type=tar,dest={out}", *options, context],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    check(done.returncode == 0, f"the build with {options} failed:\n{done.stdout}{done.stderr}")
    with tarfile.open(out) as tar:
        return tar.extractfile("result").read().decode()


def seccomp():
    allowed = (HERE / "allowed_calls.txt").read_text().split()

    def compared(name, value, how, second=0):
        return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": value, "valueTwo": second, "op": f"SCMP_CMP_{how}"}]}

    rules = [{"names": allowed, "action": "SCMP_ACT_ALLOW"}, compared("socket", 38, "LT"), compared("socket", 39, "EQ"), compared("socket", 40, "GT")]
    rules += [compared("personality", value, "EQ") for value in (0, 8, 0x20000, 0x20008, 0xffffffff)]
    rules += [compared("clone", 0x7e020000, "MASKED_EQ"), {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": rules}


def device_rules():
    open_ones = [("c", 1, 3), ("c", 1, 5), ("c", 1, 7), ("c", 1, 8), ("c", 1, 9), ("c", 5, 0), ("c", 5, 2), ("c", 136, None)]
    rules = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "access": "m"}, {"allow": True, "type": "b", "access": "m"}]
    for kind, major, minor in open_ones:
        rules.append({"allow": True, "type": kind, "major": major, "access": "rwm", **({} if minor is None else {"minor": minor})})
    return rules


def config(work):
    capabilities = [f"CAP_{name}" for name in CAPABILITIES]

    def mount(target, kind, source, *options):
        return {"destination": target, "type": kind, "source": source, "options": list(options)}

    (work / "resolv.conf").write_text("\n")
    (work / "hosts").write_text("127.0.0.1\tlocalhost buildkitsandbox\n")
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0, "additionalGids": [0]}, "args": ["/prober", "/result"], "env": [f"PATH={PATH}", "HOME=/"], "cwd": "/",
                    "capabilities": {name: capabilities for name in ("bounding", "effective", "permitted")}, "noNewPrivileges": False},
        "root": {"path": "rootfs"},
        "hostname": "buildkitsandbox",
        "mounts": [
            mount("/proc", "proc", "proc", *QUIET), mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
            mount("/dev/shm", "tmpfs", "shm", *QUIET, "mode=1777", "size=65536k"), mount("/dev/mqueue", "mqueue", "mqueue", *QUIET),
            mount("/sys", "sysfs", "sysfs", *QUIET, "ro"), mount("/sys/fs/cgroup", "cgroup", "cgroup", *QUIET, "ro"),
            mount("/etc/resolv.conf", "bind", str(work / "resolv.conf"), "rbind", "ro", *QUIET),
            mount("/etc/hosts", "bind", str(work / "hosts"), "rbind", "ro", *QUIET)],
        "linux": {"namespaces": [{"type": name} for name in ("pid", "ipc", "uts", "mount", "cgroup")], "maskedPaths": MASKED, "readonlyPaths": READ_ONLY,
                  "resources": {"devices": device_rules()}, "seccomp": seccomp()}}


def in_runc(prober, work):
    rootfs = work / "rootfs"
    for directory in ("dev", "proc", "sys", "etc"):
        (rootfs / directory).mkdir(parents=True)
    for name in ("resolv.conf", "hosts"):
        (rootfs / "etc" / name).touch()
    shutil.copy(prober, rootfs / "prober")
    (work / "config.json").write_text(json.dumps(config(work)))
    name = f"conformance-{os.getpid()}"
    done = subprocess.run(["runc", "--root", work / "state", "run", "--bundle", work, name], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    check(done.returncode == 0, f"runc failed:\n{done.stdout}{done.stderr}")
    return (rootfs / "result").read_text()


def properties(text):
    """By name; a namespace is "host" or "own"."""
    out = {}
    for line in text.splitlines():
        name, value = line.split("\t", 1)
        if name.startswith("namespace "):
            value = "host" if value == os.readlink(f"/proc/self/ns/{name.split()[1]}") else "own"
        out[name] = value
    return out


def differences(ours, theirs):
    names = sorted(ours.keys() | theirs.keys())
    return [{"property": name, "step": ours.get(name), "runc": theirs.get(name)} for name in names if ours.get(name) != theirs.get(name)]


def explained(difference, row):
    return fnmatch.fnmatchcase(difference["property"], row["property"]) and all(
        row[side] == "*" or difference[side] == row[side] for side in ("step", "runc"))


def judge(found, rows, what):
    """The texts of what is wrong."""
    wrong = [f"{what}: {d['property']}: {d['step']!r} in a step, {d['runc']!r} with runc" for d in found if not any(explained(d, row) for row in rows)]
    return wrong + [f"{what}: no such difference any more: {row}" for row in rows if not row.get("maybe") and not any(explained(d, row) for d in found)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cbuild")
    parser.add_argument("work")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if platform.machine() != "x86_64" or shutil.which("runc") is None or os.geteuid() != 0:
        print("needs root, x86_64 and runc")
        return 1 if os.environ.get("CI") else 77
    pathlib.Path(arguments.work).mkdir(parents=True, exist_ok=True)
    rows = json.loads((HERE / "differences.json").read_text())
    wrong = []
    with tempfile.TemporaryDirectory(dir=arguments.work, prefix="conformance-") as place:
        work = pathlib.Path(place)
        prober = work / "prober"
        compile_prober(prober)
        runc = properties(in_runc(prober, work))
        check(len([name for name in runc if name.startswith("call ")]) > 470, "the prober missed system calls")
        for what, options in (("built-in", []), ("--runtime", ["--runtime", "runc"])):
            found = differences(properties(in_step(os.path.abspath(arguments.cbuild), prober, work, *options)), runc)
            if arguments.write:
                print(what, json.dumps(found, indent=1))
            wrong += judge(found, rows[what], what)
        print(f"{len(runc)} properties compared")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(failure)
        sys.exit(1)
