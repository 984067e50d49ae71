# SPDX-License-Identifier: Apache-2.0
"""The case files: many small Dockerfiles with their contexts in one text file a topic.

    === name
    args: --build-arg A=1 --target x       flags of the build, as `docker buildx build` and cbuild take them
    since: 1.7                             first Dockerfile frontend that does so; 20.10's is 1.2
    rejects: regex                         the build fails, and this is in cbuild's message
    old: PATTERN because REASON            lines of a difference from 20.10's BuildKit that it is too old for
    differs: PATTERN docs/decisions/x.md   lines of a difference that are meant, and the page that says why
    only: cbuild                           no builder of today shows it: the expectation is written by hand
    --- Dockerfile [NAME] [crlf] [bom] [nonl]
    --- file PATH [mode=0600] [mtime=N] [nonl] [crlf] [bom] [base64] [repeat=N] [sparse=SIZE] [xattr:user.x=v]
    --- dir PATH [mode=0700]
    --- link PATH -> TARGET    --- hardlink PATH -> EXISTING    --- socket PATH    --- fifo PATH
    --- tar PATH [gzip|bzip2|xz|zstd]      its lines: "TYPE MODE UID:GID PATH [-> TARGET | = TEXT]"
    --- base NAME                          a Dockerfile, built first; its image is the named context NAME

The lines below a "---" line are its text. Times that are not given are the case's own (shown as "@context"): builders that keep
contexts tell files apart by size and time. A topic's expectations are in TOPIC.json.
"""
import base64
import dataclasses
import hashlib
import io
import os
import pathlib
import re
import shlex
import socket
import subprocess
import tarfile
import zlib

FIRST_TIME, TIMES = 1_600_000_000, 50_000_000


class BadCase(Exception):
    pass


@dataclasses.dataclass
class Part:
    kind: str
    words: list
    text: str

    def option(self, name, default=None):
        return next((w.partition("=")[2] for w in self.words if w.startswith(name + "=")), default)

    def content(self) -> bytes:
        text = self.text
        if "nonl" in self.words:
            text = text.removesuffix("\n")
        if "crlf" in self.words:
            text = text.replace("\n", "\r\n")
        if "base64" in self.words:
            return base64.b64decode(text)
        return (b"\xef\xbb\xbf" if "bom" in self.words else b"") + text.encode() * int(self.option("repeat", "1"))


@dataclasses.dataclass
class Case:
    topic: str
    name: str
    line: int
    settings: dict = dataclasses.field(default_factory=dict)
    parts: list = dataclasses.field(default_factory=list)
    source: str = ""

    @property
    def args(self):
        return shlex.split(" ".join(self.settings.get("args", [])))

    @property
    def rejects(self):
        return self.settings.get("rejects", [])

    @property
    def differs(self):
        return [line.rsplit(" ", 1) for line in self.settings.get("differs", [])]

    @property
    def old(self):
        return [line.split(" because ", 1)[0] for line in self.settings.get("old", [])]

    @property
    def time(self):
        return FIRST_TIME + zlib.crc32(f"{self.topic}/{self.name}".encode()) % TIMES

    def since(self):
        return tuple(int(n) for n in self.settings.get("since", ["1.0"])[0].split("."))

    def only_cbuild(self):
        return "only" in self.settings

    def digest(self):
        """Of everything that a builder sees; an expectation recorded of something else is stale."""
        kept = [line for line in self.source.splitlines() if not re.match(r"#|rejects:|differs:|old:|since:|only:", line)]
        return hashlib.sha256("\n".join(kept).rstrip("\n").encode()).hexdigest()[:16]

    def bases(self):
        return [part for part in self.parts if part.kind == "base"]


SETTINGS = ("args", "since", "rejects", "differs", "old", "only", "covers")


def read_topic(path: pathlib.Path):
    cases, part = [], None
    for number, line in enumerate(path.read_text().splitlines(keepends=True), 1):
        if line.startswith("=== "):
            cases.append(Case(path.stem, line[4:].strip(), number))
            part = None
            continue
        if not cases:
            continue
        case = cases[-1]
        case.source += line
        if line.startswith("--- "):
            words = shlex.split(line[4:])
            part = Part(words[0], words[1:], "")
            case.parts.append(part)
        elif part is not None:
            part.text += line
        elif line.strip() and not line.startswith("#"):
            key, colon, value = line.partition(":")
            if not colon or key not in SETTINGS:
                raise BadCase(f"{path}:{number}: {line!r} is not a setting")
            case.settings.setdefault(key, []).append(value.strip())
    for case in cases:
        if case.parts and case.parts[-1].text.endswith("\n\n"):
            case.parts[-1].text = case.parts[-1].text[:-1]  # the blank line before the next case
    names = [case.name for case in cases]
    if len(names) != len(set(names)):
        raise BadCase(f"{path}: case given twice: {[n for n in names if names.count(n) > 1]}")
    return cases


def read_all(folder: pathlib.Path):
    return [case for path in sorted(folder.glob("*.cases")) for case in read_topic(path)]


def write_tar(path: pathlib.Path, part: Part, time: int):
    kinds = {"d": tarfile.DIRTYPE, "f": tarfile.REGTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE, "p": tarfile.FIFOTYPE}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for line in part.text.splitlines():
            kind, mode, owner, rest = line.split(" ", 3)
            name, _, text = rest.partition(" = ")
            name, _, target = name.partition(" -> ")
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime, info.linkname = kinds[kind], int(mode, 8), time, target
            info.uid, info.gid = (int(n) for n in owner.split(":"))
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    tool = [w for w in part.words if w in ("gzip", "bzip2", "xz", "zstd")]
    data = raw.getvalue()
    path.write_bytes(subprocess.run([tool[0], "-c"], input=data, check=True, capture_output=True).stdout if tool else data)


def write_file(path: pathlib.Path, part: Part):
    with open(path, "wb") as file:
        file.write(part.content())
        if size := part.option("sparse"):
            file.truncate(int(size))
    for word in part.words:
        if word.startswith("xattr:"):
            name, _, value = word[6:].partition("=")
            os.setxattr(path, name, base64.b64decode(value[7:]) if value.startswith("base64:") else value.encode())


def make_entry(root: pathlib.Path, part: Part, time: int):
    path = root / (part.words[0] if part.words and part.kind != "Dockerfile" else "Dockerfile")
    if part.kind == "Dockerfile":
        names = [w for w in part.words if w not in ("crlf", "bom", "nonl") and not w.startswith("repeat=")]
        path = root / (names[0] if names else "Dockerfile")
    path.parent.mkdir(parents=True, exist_ok=True)
    if part.kind in ("file", "Dockerfile"):
        write_file(path, part)
    elif part.kind == "tar":
        write_tar(path, part, time)
    elif part.kind == "dir":
        path.mkdir(exist_ok=True)
    elif part.kind == "link":
        path.symlink_to(part.words[2])
    elif part.kind == "hardlink":
        os.link(root / part.words[2], path)
    elif part.kind == "fifo":
        os.mkfifo(path)
    elif part.kind == "socket":
        here = os.open(path.parent, os.O_PATH)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)
    else:
        raise BadCase(f"{part.kind} is not a kind of part")
    return path


def write_context(case: Case, root: pathlib.Path):
    """The context of a case, with modes and times that do not depend on the machine."""
    root.mkdir(parents=True)
    made = []
    for part in case.parts:
        if part.kind != "base":
            made.append((make_entry(root, part, case.time), part))
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    for path, part in made:
        if mode := part.option("mode"):
            path.chmod(int(mode, 8))
    times = {path: int(part.option("mtime", str(case.time))) for path, part in made}
    for path in sorted([root, *root.rglob("*")], reverse=True):
        time = times.get(path, case.time)
        os.utime(path, (time, time), follow_symlinks=False)
