# SPDX-License-Identifier: Apache-2.0
"""An image as its config and its flattened tree, as plain values that compare and read well."""
import hashlib
import json
import pathlib
import platform
import re
import tarfile
import threading

HOST = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
# Later times come from the clock of a build: no builder promises them.
LAST_FIXED_TIME = 1_700_000_000
SHOWN_TEXT = 200
KINDS = {tarfile.REGTYPE: "f", tarfile.AREGTYPE: "f", tarfile.GNUTYPE_SPARSE: "f", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l",
         tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p"}


class Entry:
    """A file; hard links are paths that share one."""

    def __init__(self, tar, member):
        kind = KINDS[member.type]
        self.line = f"{kind} " + ("" if kind == "l" else f"{member.mode & 0o7777:04o} ") + f"{member.uid}:{member.gid}"
        self.directory = kind == "d"
        if kind == "f":
            self.line += " " + content_text(tar.extractfile(member), member.size)
        elif kind == "l":
            self.line += f" -> {member.linkname}"
        elif kind in "cb":
            self.line += f" {member.devmajor}:{member.devminor}"
        for key, value in sorted(member.pax_headers.items()):
            if key.startswith("SCHILY.xattr."):
                raw = value.encode("utf-8", "surrogateescape")
                self.line += f" {key[13:]}={json.dumps(raw.decode()) if raw.isascii() else raw.hex()}"
        self.mtime = member.mtime


def content_text(file, size):
    if size <= SHOWN_TEXT:
        data = file.read()
        try:
            return json.dumps(data.decode(), ensure_ascii=False)
        except UnicodeDecodeError:
            return "hex:" + data.hex()
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return f"{size} sha256:{digest.hexdigest()[:24]}"


def remove(tree, path, keep_itself=False):
    for name in [n for n in tree if n.startswith(path + "/") or (n == path and not keep_itself) or path == ""]:
        del tree[name]


def apply_layer(tree, archive):
    with tarfile.open(archive) as tar:
        added, removed, opaque = [], [], []
        for member in tar:
            name = member.name.removeprefix("./").strip("/")
            folder, _, base = name.rpartition("/")
            if base == ".wh..wh..opq":
                opaque.append(folder)
            elif base.startswith(".wh."):
                removed.append(f"{folder}/{base[4:]}".strip("/"))
            elif name not in ("", "."):
                added.append((name, member.linkname.removeprefix("./").strip("/") if member.islnk() else Entry(tar, member)))
    for path in removed:
        remove(tree, path)
    for path in opaque:
        remove(tree, path, keep_itself=True)
    for name, entry in added:
        entry = tree[entry] if isinstance(entry, str) else entry
        if not entry.directory:
            remove(tree, name)
        tree[name] = entry


def describe(tree):
    """path -> line; members of a hard-link group name its first path."""
    groups = {}
    for name in sorted(tree):
        groups.setdefault(id(tree[name]), []).append(name)
    lines = {}
    for name, entry in tree.items():
        group = groups[id(entry)]
        lines[name] = entry.line + (f" #{group[0]}" if len(group) > 1 else "")
        if entry.mtime <= LAST_FIXED_TIME and not (entry.mtime == 0 and entry.directory):
            lines[name] += f" @{entry.mtime:.9f}".rstrip("0").rstrip(".")
    return lines


class Reader:
    """Reads images; remembers the contents of the layers of the common base."""

    def __init__(self, base_layout: pathlib.Path):
        self.lock = threading.Lock()
        self.known = {}
        manifest = self._manifest(base_layout)
        self.base_layers = [layer["digest"] for layer in manifest["layers"] or []]
        self.base_diff_ids = self._blob(base_layout, manifest["config"]["digest"])["rootfs"]["diff_ids"]
        self.base_tree = self._flatten([base_layout / "blobs" / d.replace(":", "/") for d in self.base_layers])
        self.base_lines = describe(self.base_tree)
        text = self.base_lines["bin/busybox"].split(" ")
        self.busybox = " ".join(text[3:5])

    @staticmethod
    def _blob(layout, digest):
        return json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())

    def _manifest(self, layout):
        document = json.loads((layout / "index.json").read_text())
        while "manifests" in document:
            document = self._blob(layout, document["manifests"][0]["digest"])
        return document

    @staticmethod
    def _flatten(archives):
        tree = {}
        for archive in archives:
            apply_layer(tree, archive)
        return tree

    def _tree(self, layers):
        if [digest for digest, _ in layers[:len(self.base_layers)]] != self.base_layers:
            return self._flatten([path for _, path in layers])
        tree = dict(self.base_tree)
        for _, path in layers[len(self.base_layers):]:
            apply_layer(tree, path)
        return tree

    def layout(self, folder: pathlib.Path):
        manifest = self._manifest(folder)
        layers = [(layer["digest"], folder / "blobs" / layer["digest"].replace(":", "/")) for layer in manifest["layers"] or []]
        return self._describe(self._blob(folder, manifest["config"]["digest"]), layers)

    def docker_archive(self, folder: pathlib.Path):
        manifest = json.loads((folder / "manifest.json").read_text())[0]
        config = json.loads((folder / manifest["Config"]).read_text())
        layers = list(zip(config["rootfs"].get("diff_ids") or [], [folder / name for name in manifest["Layers"]]))
        return self._describe(config, layers)

    def _describe(self, image, layers):
        rows = image.get("history") or []
        diff_ids = image["rootfs"].get("diff_ids") or []
        layered = [row for row in rows if not row.get("empty_layer")]
        tree = {path: line.replace(self.busybox, "BUSYBOX") for path, line in describe(self._tree(layers)).items()}
        base = {path: line.replace(self.busybox, "BUSYBOX") for path, line in self.base_lines.items()}
        if diff_ids[:len(self.base_diff_ids)] == self.base_diff_ids:
            changed = {path: line for path, line in tree.items() if not is_same(line, base.get(path))}
            changed.update({path: None for path in base if path not in tree})
            tree = changed
        out = {"config": {k: v for k, v in sorted((image.get("config") or {}).items()) if v not in (None, "", [], {}, False)},
               "history": [history_text(row) for row in rows],
               "tree": dict(sorted(tree.items()))}
        for key in ("author", "architecture", "os", "variant", "os.version", "created"):
            value = image.get(key)
            if value and not (key == "architecture" and value == HOST) and not (key == "created" and not is_fixed(value)):
                out[key] = value
        if len(layered) != len(diff_ids):
            out["layers"] = f"{len(diff_ids)} layers, {len(layered)} in history"
        return out


def without_time(line):
    return re.sub(r" @(context|\d+(\.\d+)?)$", "", line) if line else line


def is_same(line, base):
    """A time from the clock on a directory that otherwise is the base's says nothing."""
    return line == base or (line.startswith("d") and " @" not in line and line == without_time(base))


def is_fixed(created):
    return created < "2023-11"


def history_text(row):
    text = row.get("created_by", "")
    if row.get("empty_layer"):
        text += " [empty]"
    if row.get("comment") not in (None, "buildkit.dockerfile.v0"):
        text += f" [comment {row['comment']}]"
    if row.get("author"):
        text += f" [author {row['author']}]"
    if is_fixed(row.get("created", "9")):
        text += f" [created {row['created']}]"
    return text
