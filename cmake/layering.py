#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the includes of every source file, the folder sizes, the classes and the drawing in docs/architecture.md with
the arrow table in the top CMakeLists.txt and with limits. With --draw as a second argument the drawing is written."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
table = re.search(r"set\(CBUILD_ARROWS(.*?)\)", (root / "CMakeLists.txt").read_text(), re.S).group(1)
arrows = {m: set(filter(None, deps.split(","))) for m, deps in re.findall(r'"([\w/]+):([\w/,]*)"', table)}
heavy = re.compile(r"#include <(boost/|tbb/|oneapi/|archive|curl/|openssl/|toml\+\+/|nlohmann/json\.hpp|CLI/|sqlite3|grpc|google/)")


def module_of(path: str) -> str:
    """The longest module that is a folder prefix of a path."""
    return max((m for m in arrows if path.startswith(m + "/")), key=len, default="")


knows_static = re.search(r"set\(CBUILD_KNOWS_STATIC (.*?)\)", (root / "cmake/Module.cmake").read_text()).group(1).split()
# Headers that name a library's own types, for the sources of their module only.
wrappers = {"base/http/curl_library.h", "api/session/client_call.h", "api/session/fake_client.h"}
# A folder with more sources than this, tests aside, has more than one subject.
most_files = 66
beside_sources = re.compile(r"_(test|fuzz|bench)\.cc$|^(test_|fake_)")
# Requests to the engine and its results are values: only a front door has a terminal and an environment.
process_only = re.compile(r"getenv|isatty|std::c(in|out|err)\b|STD(IN|OUT|ERR)_FILENO")
values_only = {"engine", "engine/request"}
# A class with more than this does several things at once: parts of it are values or classes of their own. Overloads of
# one name are one method. Read by our formatting: members and methods begin two columns inside of their class.
most_members, most_private_methods = 12, 10
# Not parted yet.
crowded = {
    "cache/packer.cc: Packer::Impl",
    "cache/store_impl.h: Store::Impl",
    "exporter/early_uploads.cc: EarlyUploads::Impl",
    "oci/erofs/erofs_image.cc: ImageWriter",
    "oci/compression/block_stream.cc: BlockStream::Impl",
    "oci/compression/decoded_stream.cc: DecodedStream::Impl",
    "oci/layer/extract.h: Extractor",
    "oci/layer/file_maker.cc: FileMaker::Impl",
}
problems = []
files = 0


def reach(module: str) -> set:
    return arrows[module].union(*(reach(dep) for dep in arrows[module]))


def drawing() -> str:
    """The arrows that do not follow from others, as a Mermaid graph."""
    lines = ["```mermaid", "graph BT"]
    for module in arrows:
        lines += [f"  {dep} --> {module}" for dep in stands_on(module)]
    return "\n".join(lines + ["```"])


def stands_on(module: str) -> list:
    """The modules below it that do not follow from others of them."""
    deps = arrows[module]
    return [dep for dep in arrows if dep in deps and not any(dep in reach(other) for other in deps)]


def with_arrows(text: str) -> str:
    """The table of modules with its second column filled."""
    row = r"^\| `([\w/]+)` \|[^|]*\|"
    return re.sub(row, lambda m: f"| `{m[1]}` | {', '.join(stands_on(m[1])) or '-'} |" if m[1] in arrows else m[0], text, flags=re.M)


def without_templates(line: str) -> str:
    while (shorter := re.sub(r"<[^<>()]*(\([^<>()]*\))?[^<>()]*>", "", line)) != line:
        line = shorter
    return line


def members_of(owner: str, text: str) -> set:
    """The data members that a line declares: called x_, and in an Impl, which its class alone can see, by any name."""
    name = r"[a-z]\w*" if owner.endswith("Impl") else r"\w+_"
    return set(re.findall(rf"\b({name})(?:\[[^\]]*\])?\s*(?=[;,])", re.sub(r"\{[^{}]*\}|=[^,;]+", "", text)))


def class_sizes(lines: list):
    """The name, data members and private methods of each class."""
    for start, line in enumerate(lines):
        head = re.match(r"( *)(class|struct) ([\w:]+)[^;]*\{$", line)
        if not head:
            continue
        indent, members, methods, private = head.group(1), set(), set(), head.group(2) == "class"
        for inner in lines[start + 1 :]:
            if inner.startswith(indent + "}"):
                break
            label = re.match(indent + r" (public|private|protected):", inner)
            private = label.group(1) == "private" if label else private
            if not re.match(indent + r"  (?!template|using|friend|static|struct|class|enum)\w", inner):
                continue
            text = without_templates(inner.split("//")[0])
            if method := re.match(r"[^=({]*?(operator\W+|\b\w+)\(", text):
                methods |= {method.group(1)} if private and "= delete" not in text else set()
            else:
                members |= members_of(head.group(3), text)
        yield head.group(3), members, methods - {head.group(3)}


page = root / "docs/architecture.md"
text = page.read_text()
drawn = with_arrows(re.sub(r"```mermaid\n.*?\n```", lambda _: drawing(), text, flags=re.S))
if "--draw" in sys.argv:
    page.write_text(drawn)
elif drawn != text:
    problems.append("docs/architecture.md: the drawing or the table is not that of the arrow table; python3 cmake/layering.py . --draw")
for module in arrows:
    if f"\n| `{module}` |" not in text:
        problems.append(f"docs/architecture.md: the table of modules lacks {module}")
    if not (root / module / "README.md").exists():
        problems.append(f"{module}: no README.md")
    sources = [path for path in (root / module).glob("*.*") if path.suffix in (".h", ".cc") and not beside_sources.search(path.name)]
    if len(sources) > most_files:
        problems.append(f"{module}: {len(sources)} sources in one folder, more than {most_files}")
    for path in sorted((root / module).glob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix not in (".h", ".cc") or module_of(name) != module:
            continue
        files += 1
        for owner, members, methods in class_sizes(path.read_text().splitlines()):
            too_many = len(members) > most_members or len(methods) > most_private_methods
            if too_many != (f"{name}: {owner}" in crowded):
                problems.append(f"{name}: {owner} has {len(members)} members and {len(methods)} private methods")
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'#include "([^"]+)"', line)
            target = module_of(found.group(1)) if found else ""
            if target and target != module and target not in arrows[module]:
                problems.append(f"{name}:{number}: {module} must not include {target}")
            if re.match(r"#if.*CBUILD_STATIC", line) and module not in knows_static:
                problems.append(f"{name}:{number}: {module} is not in CBUILD_KNOWS_STATIC of cmake/Module.cmake")
            if module in values_only and not name.endswith("_test.cc") and process_only.search(line):
                problems.append(f"{name}:{number}: {module} must not look at the process: {line.strip()}")
            if path.suffix == ".h" and name not in wrappers and heavy.match(line):
                problems.append(f"{name}:{number}: third-party header in a header of ours: {line}")
print("\n".join(problems) or f"{files} files keep to the arrow table")
sys.exit(bool(problems) or files == 0)
