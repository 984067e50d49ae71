# SPDX-License-Identifier: Apache-2.0
"""Sources in which every mutation is a choice at run time, so that one build serves all of them.

An expression E becomes `(mutant(N) ? (CHANGED) : (E))`, statements become `{ if (mutant(N)) { CHANGED } else { ... } }`. A row inside of the text of
another is a choice within the original of that one. Which is chosen is read once, before main, from CBUILD_MUTANT.
"""
import subprocess

HEADER_NAME = "cbuild_mutant.h"
HEADER = """\
#pragma once
#include <cstdlib>
namespace cbuild {
inline const unsigned kChosenMutant = [] {
  const char* text = std::getenv("CBUILD_MUTANT");
  return text == nullptr ? 0u : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}();
inline bool mutant(unsigned number) { return kChosenMutant == number; }
}  // namespace cbuild
"""


class Overlap(Exception):
    """Two rows share a part of their texts only."""


def switched(source, rows):
    """The source of one file with all of its rows."""
    rows = sorted(rows, key=lambda row: (row.begin, -row.span[1]))
    text, end, used = render(source, 0, len(source), rows)
    assert end == len(source) and used == len(rows)
    # Not the first line, for `#pragma once` and the header's comment stay where they are.
    return text.replace("\n#include", f'\n#include "{HEADER_NAME}"\n#include', 1)


def render(source, begin, end, rows):
    """source[begin:end] with the rows that begin there; the place where it ended and how many were used."""
    out, used = "", 0
    while used < len(rows) and rows[used].begin < end:
        row = rows[used]
        if row.span[1] > end:
            raise Overlap(f"{row.name}: its text overlaps that of another row in {row.file}")
        inner, stop, more = render(source, row.begin, row.span[1], rows[used + 1:])
        out += source[begin:row.begin] + choice(row, inner)
        begin, used = stop, used + 1 + more
    return out + source[begin:end], end, used


def choice(row, original):
    test = f"::cbuild::mutant({row.number}u)"
    if row.is_statement():
        return f"{{ if ({test}) {{ {row.replacement} }} else {{ {original} }} }}"
    return f"({test} ? ({row.replacement}) : ({original}))"


def write_if_changed(path, content):
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def copy_tree(sources, target, rows):
    """The files that git would commit, below target, with the mutations in it; a file that stays the same keeps its time, for the next build."""
    listed = subprocess.run(["git", "-C", sources, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True)
    by_file = {}
    for row in rows:
        by_file.setdefault(row.file, []).append(row)
    for name in sorted(filter(None, listed.stdout.decode().split("\0"))):
        path = sources / name
        if path.is_symlink() or not path.is_file():
            if path.is_symlink() and not (target / name).is_symlink():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).symlink_to(path.readlink())
            continue
        content = path.read_bytes()
        if name in by_file:
            content = switched(content.decode(), by_file[name]).encode()
        write_if_changed(target / name, content)
        (target / name).chmod(path.stat().st_mode & 0o777)
    write_if_changed(target / HEADER_NAME, HEADER.encode())
