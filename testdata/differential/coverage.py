#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks docs/dockerfile-coverage.md: every case and test that it names exists, and every topic is named.   coverage.py SOURCE_DIR"""
import pathlib
import re
import sys

import cases

HERE = pathlib.Path(__file__).resolve().parent


def main():
    source = pathlib.Path(sys.argv[1])
    topics = {path.stem: {case.name for case in cases.read_topic(path)} for path in HERE.glob("*.cases")}
    named, problems = set(), []
    for number, line in enumerate((source / "docs/dockerfile-coverage.md").read_text().splitlines(), 1):
        row = re.match(r"\| (.+) \| (.+) \|$", line)
        if not row or row.group(1) == "rule":
            continue
        for word in row.group(2).split():
            topic, _, name = word.partition("/")
            named.add(topic)
            if topic == "e2e":
                known = (source / "testdata/e2e" / name / "case.json").is_file()
            elif word.endswith("_test.cc"):
                known = (source / word).is_file()
            else:
                known = name in topics.get(topic, set())
            if not known:
                problems.append(f"docs/dockerfile-coverage.md:{number}: there is no {word}")
    problems += [f"docs/dockerfile-coverage.md: no rule names topic {topic}" for topic in sorted(set(topics) - named)]
    print("\n".join(problems) or f"{len(named)} topics, all named tests exist")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
