#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py BUILD ROOT [--only MODULE] [--listed]: the unit tests of a build for arm64, under qemu-user.

ROOT has the libraries (root.sh). The test cases that the emulator cannot run are those of not-under-qemu.json, by module, with the
reason; everything else has to pass. --listed runs the cases of that list instead, each alone, and says which of them pass: those
should leave the list. A name in the list that no binary has is a failure.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def binaries(build):
    """The test binary of each module."""
    shown = subprocess.run(["ctest", "--test-dir", build, "-L", "^unit$", "--show-only=json-v1"], capture_output=True, text=True, check=True)
    return {test["name"]: test["command"][0] for test in json.loads(shown.stdout)["tests"]}


def pattern(name):
    """A case's name as a filter of doctest, which has commas between filters."""
    return name.replace(",", "?")


class Emulator:
    def __init__(self, root):
        self.program = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
        if not self.program:
            sys.exit("run.py: qemu-aarch64 is not installed (qemu-user-static)")
        self.root = root

    def run(self, binary, *flags, seconds=900):
        """Exit code and output; a case that hangs is ended and named by the binary itself."""
        # What the tests expect of this machine's surroundings is that of the other legs; skipped cases say so.
        env = {**os.environ, "QEMU_LD_PREFIX": str(self.root), "CBUILD_TEST_TIMEOUT": os.environ.get("CBUILD_TEST_TIMEOUT", "60")}
        try:
            done = subprocess.run([self.program, binary, *flags], capture_output=True, text=True, errors="replace", env=env, timeout=seconds)
        except subprocess.TimeoutExpired:
            return 1, f"does not end within {seconds} s"
        return done.returncode, done.stdout + done.stderr


def cases(emulator, binary):
    code, out = emulator.run(binary, "--list-test-cases", "--no-colors=1")
    if code != 0:
        sys.exit(f"run.py: {binary} does not list its cases:\n{out}")
    return {line for line in out.splitlines() if line and not line.startswith(("[doctest]", "====="))}


def run_module(emulator, name, binary, listed):
    """Whether all cases pass but the listed ones."""
    filters = [f"--test-case-exclude={','.join(map(pattern, listed))}"] if listed else []
    code, out = emulator.run(binary, "--no-colors=1", *filters)
    summary = re.search(r"test cases:.*", out)
    print(f"{name}: {summary.group(0) if summary else out[-2000:]}; {len(listed)} not run", flush=True)
    if code != 0:
        print(out[-20000:], flush=True)
    return code == 0


def run_listed(emulator, name, binary, listed):
    """Whether each of the listed cases still fails or is skipped."""
    good = True
    for case in listed:
        code, out = emulator.run(binary, "--no-colors=1", f"--test-case={pattern(case)}", seconds=300)
        if code == 0 and "skipped:" not in out:
            print(f"{name}: '{case}' passes and should leave the list", flush=True)
            good = False
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--only", help="this module alone")
    parser.add_argument("--listed", action="store_true", help="run what the list leaves out")
    args = parser.parse_args()
    emulator = Emulator(args.root.resolve())
    table = json.loads((HERE / "not-under-qemu.json").read_text())
    found = binaries(args.build)
    good = True
    for name in sorted(table.keys() - found.keys()):
        print(f"{name}: in the list, but no module has that name")
        good = False
    for name, binary in found.items():
        if args.only and name != args.only:
            continue
        listed = [case for entry in table.get(name, []) for case in entry["cases"]]
        if missing := sorted(set(listed) - cases(emulator, binary)):
            print(f"{name}: in the list, but not in {binary}: {missing}")
            good = False
        good = (run_listed if args.listed else run_module)(emulator, name, binary, listed) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
