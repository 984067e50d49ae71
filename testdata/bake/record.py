#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the answers of buildx into the cases of this folder: record.py BUILDX [FILE...]

A case has files in the order of their -f, names of targets, and perhaps set, var, env and list. "output" is what `bake
--print` (or --list) writes, null where it fails. An expression has the JSON of its value, null where it fails. Cases with
"differs" are meant to differ, for that reason, and keep the answer that is written there."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).parent


def run(buildx, folder, arguments, environment):
    env = {"PATH": "/usr/bin:/bin", "HOME": "/home/someone", "DOCKER_CONFIG": str(folder / "config"), **environment}
    done = subprocess.run([buildx, "bake", *arguments], cwd=folder, env=env, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def answer(buildx, case):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        arguments = [f"--list={case['list']}"] if "list" in case else ["--print"]
        for file, text in case["files"]:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
            arguments += ["-f", file]
        for flag in ("set", "var"):
            for value in case.get(flag, []):
                arguments += [f"--{flag}", value]
        return run(buildx, folder, arguments + case.get("names", []), case.get("env", {}))


def value_of(buildx, expression):
    text = 'target "default" {\n  args = {\n    X = jsonencode(%s)\n  }\n}\n' % expression
    output = answer(buildx, {"files": [["docker-bake.hcl", text]]})
    if output is None:
        return None
    text = json.loads(output)["target"]["default"]["args"]["X"]
    return text.replace("$${", "${").replace("%%{", "%{")


def record(buildx, path):
    cases = json.loads(path.read_text())
    for case in cases:
        if "differs" in case:
            continue
        if "expression" in case:
            case["value"] = value_of(buildx, case["expression"])
        else:
            case["output"] = answer(buildx, case)
    path.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


for path in sys.argv[2:] or sorted(here.glob("*.json")):
    record(sys.argv[1], pathlib.Path(path))
