#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""interface.py SOURCES [--write]: the table of what buildx and BuildKit offer to a build, with the test that pins each (docs/interface.md).

The rows are in interface.json. A test is a folder of testdata/e2e, a case of testdata/manifests ("testdata/manifests: NAME") or a file of unit
tests, and has the name in it; "page" says how cbuild differs, or why it has none ("word": another word for that). Nothing may be without both. Keys and variables that the
sources take have to be in the table.
"""
import json
import pathlib
import re
import sys

TITLES = {"flags": ("Flags of `docker buildx build`", "flag"), "outputs": ("Keys of `--output`", "key"),
          "caches": ("Keys of `--cache-to` and `--cache-from`", "key"), "variables": ("Variables and build arguments", "variable")}
FLAGS = 37  # of buildx 0.36
KEY = re.compile(r'^\s*\{"([a-z][a-z._-]*)",', re.M)
INLINE_KEYS = re.compile(r'\{"([a-z][a-z_.-]*)"(?:, (?:std::nullopt|CacheUse)|\})')
VARIABLE = re.compile(r'"((?:EXPERIMENTAL_)?BUILD(?:X|KIT)_[A-Z0-9_]*[A-Z0-9])"')
LEAD = """# Interface

What buildx 0.36 and BuildKit 0.32 offer to one build, and the test that pins each here. `differs` leads to the page
that says how, `left out` to the reason. [testing.md](testing.md#the-interface) says how this page is made.
"""


def plain_key(name):
    return re.sub(r"\[PLATFORM\]|\.KEY$", "", name)


def spellings(kind, name):
    """Texts of which a test of the row has one."""
    if kind == "flags":
        short = {"--file": "-f", "--output": "-o", "--tag": "-t", "--debug": "-D", "--quiet": "-q"}.get(name)
        return [name] + ([f'"{short}"', f"{short} ", f"-{short[1]}"] if short else [])
    if kind == "variables":
        return [name, name.removeprefix("BUILDKIT_"), name.removeprefix("EXPERIMENTAL_")]
    return [plain_key(name)]


def text_of(sources, test, problems):
    path, _, case = test.partition(": ")
    where = sources / path
    if case:
        cases = {one["name"]: one for one in json.loads((where / "cases.json").read_text())["cases"]}
        if case in cases:
            return json.dumps(cases[case])
    elif where.is_dir():
        return "".join(one.read_text(errors="replace") for one in sorted(where.rglob("*")) if one.is_file())
    elif where.is_file():
        return where.read_text()
    problems.append(f"no test {test}")
    return ""


def check_row(sources, kind, row, problems):
    if not row["tests"] and not row.get("page"):
        problems.append(f"{row['name']}: neither a test nor a page")
    if row.get("page") and not (sources / row["page"]).is_file():
        problems.append(f"{row['name']}: no page {row['page']}")
    for test in row["tests"]:
        text = text_of(sources, test, problems)
        if text and not any(spelling in text for spelling in spellings(kind, row["name"])):
            problems.append(f"{row['name']}: nothing of it in {test}")


def known_keys(sources, pattern):
    found = set()
    for path in sources.glob(pattern):
        text = "" if path.name.endswith("_test.cc") else path.read_text()
        found |= set(KEY.findall(text)) | set(INLINE_KEYS.findall(text))
    return found


def check_sources(sources, table, problems):
    names = {kind: {plain_key(row["name"]) for row in rows} for kind, rows in table.items()}
    for kind, pattern in (("outputs", "exporter/output_*.cc"), ("caches", "cache/remote/*.cc")):
        keys = {key for key in known_keys(sources, pattern) if key not in ("min", "max")}
        problems += [f"{key}: taken by the sources, not in the table of {kind}" for key in sorted(keys - names[kind])]
    # Not below build, where other tests make and remove directories meanwhile.
    folders = [path for path in sources.glob("[a-z]*") if path.is_dir() and path.name not in ("build", "testdata")]
    for path in (path for folder in folders for path in folder.rglob("*.cc")):
        if path.name.endswith("_test.cc"):
            continue
        problems += [f"{name}: in {path.name}, not in the table" for name in VARIABLE.findall(path.read_text())
                     if name not in names["variables"] and name.removeprefix("BUILDKIT_") + "_" not in names["variables"]]
    if len(table["flags"]) != FLAGS:
        problems.append(f"{len(table['flags'])} flags, buildx has {FLAGS}")


def link(path):
    return f"[{pathlib.Path(path).name}]({pathlib.PurePosixPath(path).relative_to('docs')})"


def state(row):
    if not row.get("page"):
        return "as buildx"
    word = row.get("word", "differs" if row["tests"] else "left out")
    return f"{word}: {link(row['page'])}"


def page(table):
    out = LEAD
    for kind, (title, word) in TITLES.items():
        out += f"\n## {title}\n\n| {word} | | pinned by |\n|---|---|---|\n"
        for row in table[kind]:
            out += f"| `{row['name']}` | {state(row)} | {', '.join(f'`{test}`' for test in row['tests'])} |\n"
    return out


def problems_of(sources):
    """What is wrong with the table or its page, as lines."""
    table = json.loads((sources / "testdata/interface.json").read_text())
    problems = []
    for kind, rows in table.items():
        for row in rows:
            check_row(sources, kind, row, problems)
    check_sources(sources, table, problems)
    if (sources / "docs/interface.md").read_text() != page(table):
        problems.append("docs/interface.md is not what testdata/interface.py --write makes of interface.json")
    return problems


def main():
    sources = pathlib.Path(sys.argv[1]).resolve()
    if "--write" in sys.argv:
        (sources / "docs/interface.md").write_text(page(json.loads((sources / "testdata/interface.json").read_text())))
    found = problems_of(sources)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
