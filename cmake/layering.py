#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the includes of every source file with the arrow table in the top CMakeLists.txt."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
table = re.search(r"set\(CBUILD_ARROWS(.*?)\)", (root / "CMakeLists.txt").read_text(), re.S).group(1)
arrows = {m: set(filter(None, deps.split(","))) for m, deps in re.findall(r'"([\w/]+):([\w/,]*)"', table)}
heavy = re.compile(r"#include <(boost/|tbb/|oneapi/|archive|curl/|openssl/|nlohmann/json\.hpp|CLI/|sqlite3)")


def module_of(path: str) -> str:
    """The longest module that is a folder prefix of a path."""
    return max((m for m in arrows if path.startswith(m + "/")), key=len, default="")


# The one header that names a library's own types, for the module's table of its functions.
wrappers = {"oci/registry/curl_library.h"}
problems = []
files = 0
for module in arrows:
    for path in sorted((root / module).glob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix not in (".h", ".cc") or module_of(name) != module:
            continue
        files += 1
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'#include "([^"]+)"', line)
            target = module_of(found.group(1)) if found else ""
            if target and target != module and target not in arrows[module]:
                problems.append(f"{name}:{number}: {module} must not include {target}")
            if path.suffix == ".h" and name not in wrappers and heavy.match(line):
                problems.append(f"{name}:{number}: third-party header in a header of ours: {line}")
print("\n".join(problems) or f"{files} files keep to the arrow table")
sys.exit(bool(problems) or files == 0)
