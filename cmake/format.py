#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares every C++ file with clang-format's output for it, or rewrites the files (--fix). Checks columns, wordings and
names in comments (prose.py).

Versions of clang-format differ in a few places, so the test holds for one version; with another it is skipped (exit code 77).
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

import prose

VERSION = 16
SKIPPED = 77


def find_formatter() -> str:
    for name in (f"clang-format-{VERSION}", "clang-format"):
        program = shutil.which(name)
        if program:
            text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
            if re.search(rf"version {VERSION}\.", text):
                return program
    return ""


def sources(root: pathlib.Path) -> list[str]:
    """All tracked C++ files; where there is no git checkout, all below the root that no build directory holds."""
    if shutil.which("git"):
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "*.cc", "*.h"], capture_output=True, text=True)
        if listed.returncode == 0 and listed.stdout:
            return [name for name in listed.stdout.split("\0") if name and (root / name).exists()]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "build"]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names if n.endswith((".cc", ".h"))]
    return sorted(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--fix", action="store_true", help="rewrite the files")
    args = parser.parse_args()
    plain = prose.check(args.root)
    formatter = find_formatter()
    if not formatter:
        print(f"skipped: there is no clang-format {VERSION} on this machine")
        return SKIPPED if plain else 1
    names = sources(args.root)
    action = ["-i"] if args.fix else ["--dry-run", "--Werror"]
    parts = [names[i : i + 40] for i in range(0, len(names), 40)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda part: subprocess.run([formatter, *action, *part], cwd=args.root).returncode, parts))
    if any(results):
        print("not formatted as .clang-format says: ./dev format rewrites the files")
        return 1
    print(f"{len(names)} files {'formatted' if args.fix else 'are formatted'}")
    return 0 if names and plain else 1


sys.exit(main())
