#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the English of the project: prose.py ROOT

- Pages (*.md) have lines of at most 120 columns. Rows of tables and code may be longer, because they cannot be broken.
- Pages, sources and scripts do without the wordings in WORDS, which the field does not use.
- Names in comments, written `name`, name(), Scope::name or name.h, exist in the code.
"""
import bisect
import pathlib
import re
import subprocess
import sys

COLUMNS = 120
WORDS = {
    r"anew": "again",
    r"(brought|brings?|bringing) about": "built, made",
    r"can(not)? be had": "is available, can be reached",
    r"for want of": "without, because of too little",
    r"things? that": "say which",
    r"something that is no": "a value that is not a",
    r"(?<!there )is no(?! longer| more| larger| less| wider| later| other)(?= \w)": "is not a",
    r"(?<!there )are no(?! longer| more| larger)(?= \w)": "are not",
    r"mend(s|ed|ing)?": "fix",
    r"learnt": "learned, cached",
    r"beside": "next to, with",
}
BAD = {re.compile(rf"\b(?:{pattern})\b", re.I): better for pattern, better in WORDS.items()}
COMMENT = re.compile(r"(?<!:)//.*$")
IDENTIFIER = re.compile(r"[A-Za-z_]\w+")
NAMED = re.compile(r"`((?:\w+::)*[A-Za-z_]\w+)(?:\(\))?`|(?<![\w:.>-])((?:\w+::)*[A-Za-z_]\w+)\(\)"
                   r"|\b([A-Z]\w*::\w+)")
SOURCE = re.compile(r"[\w-]+\.(?:h|cc)\b")
PLACEHOLDER = re.compile(r"[A-Z]{2}")  # of a name that is one of several: output_NAME.cc


def tracked(root: pathlib.Path, *patterns: str) -> list[str]:
    """Tracked files, or those below the root that no build directory holds."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", *patterns], capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        return [name for name in listed.stdout.split("\0") if name and (root / name).is_file()]
    found = [str(path.relative_to(root)) for pattern in patterns for path in root.rglob(pattern)]
    return sorted(name for name in found if not re.search(r"(^|/)(build|\.\w+)/", name))


def long_lines(name: str, text: str) -> list[str]:
    problems, code = [], False
    for number, line in enumerate(text.splitlines(), 1):
        code ^= line.lstrip().startswith("```")
        if len(line) > COLUMNS and not code and not line.startswith(("|", "![")):
            problems.append(f"{name}:{number}: {len(line)} columns, {COLUMNS} are allowed")
    return problems


def bad_words(name: str, text: str) -> list[str]:
    """Wordings may stand across the end of a line, so the lines are searched as one."""
    flat, starts = "", []
    for line in text.splitlines():
        starts.append(len(flat))
        flat += re.sub(r"^(///?|#+ |[-*|>] )\s*", "", line.strip()) + " "
    return [f"{name}:{bisect.bisect_right(starts, hit.start())}: \"{hit[0]}\": rather {better}"
            for pattern, better in BAD.items() for hit in pattern.finditer(flat)]


class Names:
    """The identifiers of the code, comments left out, and for each type or namespace those of the files that define it."""

    def __init__(self, sources: dict[str, str]):
        self.files = {pathlib.PurePath(name).name for name in sources}
        self.files |= {pathlib.PurePath(hit).name for text in sources.values() for hit in re.findall(r"#include <(.*)>", text)}
        self.all: set[str] = set()
        self.scopes: dict[str, set[str]] = {}
        for text in sources.values():
            code = re.sub(r"//[^\n]*", "", text)
            words = set(IDENTIFIER.findall(code))
            self.all |= words
            for scopes in re.findall(r"\b(?:class|struct|namespace|enum(?: class)?) ([\w:]+)", code):
                for scope in scopes.split("::"):
                    self.scopes.setdefault(scope, set()).update(words)

    def known(self, name: str) -> bool:
        *scopes, last = name.split("::")
        return last in (self.scopes.get(scopes[-1], self.all) if scopes else self.all)


def unknown_names(name: str, text: str, names: Names) -> list[str]:
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        comment = COMMENT.search(line)
        if not comment:
            continue
        found = {hit for hits in NAMED.findall(comment[0]) for hit in hits if hit and not names.known(hit)}
        found |= {hit for hit in SOURCE.findall(comment[0]) if hit not in names.files and not PLACEHOLDER.search(hit)}
        problems += [f"{name}:{number}: there is no {hit} in the code" for hit in sorted(found)]
    return problems


def check(root: pathlib.Path) -> bool:
    """Prints the problems; true if there are none."""
    pages = {name: (root / name).read_text() for name in tracked(root, "*.md")}
    sources = {name: (root / name).read_text() for name in tracked(root, "*.cc", "*.h")}
    scripts = {name: (root / name).read_text() for name in tracked(root, "*.py", "*.sh", "*.cmake", "*CMakeLists.txt")}
    scripts.pop("cmake/prose.py", None)  # has them as a table
    names = Names(sources)
    problems = []
    for name, text in pages.items():
        problems += long_lines(name, text) + bad_words(name, text)
    for name, text in sources.items():
        problems += bad_words(name, text) + unknown_names(name, text, names)
    for name, text in scripts.items():
        problems += bad_words(name, text)
    print(*sorted(problems), sep="\n", end="\n" if problems else "")
    print(f"{len(pages)} pages, {len(sources)} sources, {len(scripts)} scripts, {len(problems)} problems")
    return not problems and bool(pages) and bool(sources)


if __name__ == "__main__":
    sys.exit(0 if check(pathlib.Path(sys.argv[1])) else 1)
