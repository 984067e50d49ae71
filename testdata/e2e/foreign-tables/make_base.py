# SPDX-License-Identifier: Apache-2.0
"""make_base.py LAYOUT FORM [HOW]: a base of one layer with a table of contents of its own, as stargz-snapshotter ("estargz") and
containers/storage ("zstd-chunked") write them: 3 MB that no compression makes smaller, and small files. HOW: "lie": the pieces are of other
bytes than the table says; "false": data/small has other content than the table says; "plain": the manifest does not name the table."""
import base64
import gzip
import hashlib
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile

layout, form, how = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""
blobs = layout / "blobs" / "sha256"
blobs.mkdir(parents=True)
SMALL = b"small\n"
FILES = [("bin/", None, 0o755), ("bin/tool", b"#!/bin/sh\necho tool\n", 0o4755),
         ("bin/sh", pathlib.Path(shutil.which("busybox")).read_bytes(), 0o755), ("data/", None, 0o700),
         ("data/big", random.Random(1).randbytes(3_000_000), 0o600), ("data/empty", b"", 0o644),
         ("data/small", b"evil!\n" if how == "false" else SMALL, 0o640), ("data/zeros", bytes(100_000), 0o644),
         ("etc/", None, 0o755), ("etc/passwd", b"app:x:77:88::/:/bin/sh\n", 0o644), ("many/", None, 0o755),
         *((f"many/{i}", b"%d\n" % i, 0o644) for i in range(20))]


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def put(content, kind):
    (blobs / digest(content)[7:]).write_bytes(content)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(content), "size": len(content)}


def packed(content):
    if form == "estargz":
        return gzip.compress(content, mtime=0)
    return subprocess.run(["zstd", "-q", "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout if content else b""


def header(name, content, mode, link=None, hard=None):
    info = tarfile.TarInfo(name)
    info.type = tarfile.LNKTYPE if hard else tarfile.SYMTYPE if link else tarfile.DIRTYPE if content is None else tarfile.REGTYPE
    info.mode, info.size, info.mtime, info.uid, info.gid = mode, len(content or b""), 1700000000, 11, 22
    info.linkname = link or hard or ""
    if content and name == "bin/tool":
        info.pax_headers = {"SCHILY.xattr.user.mark": "marked"}
    return info.tobuf(tarfile.PAX_FORMAT)


class Layer:
    """The archive in pieces that are compressed one by one."""

    def __init__(self):
        self.raw, self.blob, self.pending, self.entries = b"", b"", b"", []

    def flush(self):
        self.raw += self.pending
        self.blob += packed(self.pending) if self.pending else b""
        self.pending = b""

    def add(self, name, content, mode, link=None, hard=None):
        entry = {"name": name, "mode": mode, "uid": 11, "gid": 22, "modtime": "2023-11-14T22:13:20Z"}
        entry["type"] = "hardlink" if hard else "symlink" if link else "dir" if content is None else "reg"
        self.pending += header(name, content, mode, link, hard)
        self.entries.append(entry)
        if link or hard:
            entry["linkName"] = link or hard
        if not content:
            return
        if name == "bin/tool":
            entry["xattrs"] = {"user.mark": base64.b64encode(b"marked").decode()}
        told = SMALL if name == "data/small" else content
        entry |= {"size": len(content), "digest": digest(told)}
        step = 1 << 20
        for at in range(0, len(content), step):
            piece = content[at:at + step]
            self.flush()
            chunk = entry if at == 0 else {"name": name, "type": "chunk"}
            told_piece = piece[::-1] if how == "lie" else told[at:at + step]
            chunk |= {"offset": len(self.blob), "chunkOffset": at, "chunkSize": len(piece) if len(content) > step else 0,
                      "chunkDigest": digest(told_piece)}
            if at:
                self.entries.append(chunk)
            self.pending = piece
            self.flush()
            chunk["endOffset"] = len(self.blob)
        self.pending = bytes(-len(content) % 512)

    def finish(self):
        self.flush()
        toc = json.dumps({"version": 1, "entries": self.entries}).encode()
        if form == "estargz":
            offset = len(self.blob)
            self.pending = header("stargz.index.json", toc, 0) + toc + bytes(-len(toc) % 512) + bytes(1024)
            self.flush()
            extra = b"SG" + (22).to_bytes(2, "little") + b"%016xSTARGZ" % offset
            footer = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + len(extra).to_bytes(2, "little") + extra + b"\1\0\0\xff\xff" + bytes(8)
            assert len(footer) == 51
            self.blob += footer
            return {"containerd.io/snapshot/stargz/toc.digest": digest(toc)}
        self.pending = bytes(1024)
        self.flush()
        frame, magic = packed(toc), b"\x50\x2a\x4d\x18"
        offset = len(self.blob) + 8
        self.blob += magic + len(frame).to_bytes(4, "little") + frame
        return {"io.github.containers.zstd-chunked.manifest-checksum": digest(frame),
                "io.github.containers.zstd-chunked.manifest-position": f"{offset}:{len(frame)}:{len(toc)}:1"}


layer = Layer()
for file in FILES:
    layer.add(*file)
layer.add("bin/link", None, 0o777, "tool")
layer.add("many/hard", None, 0o644, hard="many/1")
annotations = layer.finish() if how != "plain" else layer.finish() and {}
descriptor = put(layer.blob, "layer.v1.tar+" + ("gzip" if form == "estargz" else "zstd")) | {"annotations": annotations}
config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": [digest(layer.raw)]}}).encode(), "config.v1+json")
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
                           "layers": [descriptor]}).encode(), "manifest.v1+json")
manifest["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
(layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
(layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
assert gzip.decompress(layer.blob) == layer.raw if form == "estargz" else True
