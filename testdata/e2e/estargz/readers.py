# SPDX-License-Identifier: Apache-2.0
"""readers.py LAYOUT: every layer of the image is estargz, by the format's own description: footer, table, one gzip member a piece, digests."""
import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile
import zlib

KINDS = {"reg": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE}


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def table_of(blob):
    footer = blob[-51:]
    assert footer[:4] == b"\x1f\x8b\x08\x04" and footer[10:16] == b"\x1a\0SG\x16\0" and footer[32:38] == b"STARGZ", footer
    at = int(footer[16:32], 16)
    tar = tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob[at:-51])))
    member = tar.next()
    assert member.name == "stargz.index.json" and tar.next() is None
    return tar.extractfile(member).read()


def check_file(blob, content, pieces):
    have = b""
    for piece in pieces:
        assert piece.get("chunkOffset", 0) == len(have), piece
        size = piece.get("chunkSize", 0) or len(content) - len(have)
        part = zlib.decompressobj(31).decompress(blob[piece["offset"]:])[:size]
        assert piece["chunkDigest"] == sha256(part), piece
        have += part
    assert have == content


def check_layer(layer, blob):
    assert layer["mediaType"].endswith("tar+gzip"), layer
    document = table_of(blob)
    assert layer["annotations"]["containerd.io/snapshot/stargz/toc.digest"] == sha256(document), layer
    plain = gzip.decompress(blob)
    assert layer["annotations"]["io.containers.estargz.uncompressed-size"] == str(len(plain)), layer
    entries = json.loads(document)["entries"]
    tar = tarfile.open(fileobj=io.BytesIO(plain))
    members = list(tar)
    listed = [entry for entry in entries if entry["type"] != "chunk"]
    assert [entry["name"].rstrip("/") for entry in listed] == [member.name for member in members]
    for member, entry in zip(members, listed):
        assert KINDS[entry["type"]] == member.type and entry.get("mode", 0) == member.mode, (member, entry)
        if member.isreg():
            content = tar.extractfile(member).read()
            assert entry["digest"] == sha256(content) and entry.get("size", 0) == member.size, entry
            if content:
                check_file(blob, content, [one for one in entries if one["name"] == entry["name"] and "offset" in one])
    return sha256(plain)


layout = pathlib.Path(sys.argv[1])


def read(digest):
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()


manifest = json.loads(read(json.loads((layout / "index.json").read_text())["manifests"][-1]["digest"]))
diff_ids = json.loads(read(manifest["config"]["digest"]))["rootfs"]["diff_ids"]
assert [check_layer(layer, read(layer["digest"])) for layer in manifest["layers"]] == diff_ids
print(len(diff_ids), "layers")
