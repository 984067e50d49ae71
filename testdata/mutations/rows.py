#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The list of mutations, MODULE.json (`/` as `-`), and where each stands in the sources.

    rows.py SOURCE_DIR      fails if a row does not match the sources exactly once

  {"units": ["cache", "cache/gc", ...],          targets whose unit tests are run first; by default the module's own
   "end": ["e2e/NAME", "cache-table", ...],      tests of ctest to run, in this order, where the module's unit tests notice nothing
   "rows": [{"id": "a name within the module", "file": "cache/gc/gc.cc", "text": "...", "with": "...", "wrong": "what a user would see",
             "end": [...]}]}                     instead of the module's

A text that ends with `;` is statements, any other is an expression, and so is its replacement.
"""
import dataclasses
import json
import pathlib
import sys
import zlib

HERE = pathlib.Path(__file__).resolve().parent


class Stale(Exception):
    """The list does not fit the sources."""


@dataclasses.dataclass
class Row:
    module: str
    id: str
    file: str
    text: str
    replacement: str
    wrong: str
    units: list
    end: list
    begin: int = 0  # where the text is in its file

    @property
    def name(self):
        return f"{self.module}:{self.id}"

    @property
    def number(self):
        """Chooses it at run time; depends on its name alone, so that a new row changes no other place."""
        return zlib.crc32(self.name.encode()) & 0x7FFFFFFF

    @property
    def span(self):
        return self.begin, self.begin + len(self.text)

    def is_statement(self):
        return self.text.endswith(";")


def load():
    """All rows, by module and in the order of the files."""
    rows = []
    for path in sorted(HERE.glob("*.json")):
        module = path.stem.replace("-", "/")
        table = json.loads(path.read_text())
        for entry in table["rows"]:
            known = {"id", "file", "text", "with", "wrong", "end"}
            if set(entry) - known or known - {"end"} - set(entry):
                raise Stale(f"{path.name}: {entry.get('id')}: the fields are {sorted(known)}")
            rows.append(Row(module, entry["id"], entry["file"], entry["text"], entry["with"], entry["wrong"],
                            table.get("units", [module]), entry.get("end", table["end"])))
    return rows


def problems_of(rows, sources):
    """The problems of the list; finds `begin` of each row."""
    problems, names = [], set()
    for row in rows:
        path = sources / row.file
        source = path.read_text() if path.is_file() else ""
        count = source.count(row.text)
        if count != 1:
            problems.append(f"{row.name}: its text is {count} times in {row.file}: {row.text}")
        row.begin = source.find(row.text)
        if row.text == row.replacement:
            problems.append(f"{row.name}: changes nothing")
        if row.name in names:
            problems.append(f"{row.name}: a second row of this name")
        names.add(row.name)
        problems += [f"{row.name}: there is no case {leg}" for leg in row.end
                     if leg.startswith("e2e/") and not (sources / "testdata" / leg).is_dir()]
    return problems


def located(sources):
    """All rows with their places; throws Stale."""
    rows = load()
    problems = problems_of(rows, sources)
    if problems:
        raise Stale("\n".join(problems))
    return rows


if __name__ == "__main__":
    try:
        print(f"{len(located(pathlib.Path(sys.argv[1])))} mutations match the sources")
    except Stale as stale:
        print(stale)
        sys.exit(1)
