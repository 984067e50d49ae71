# SPDX-License-Identifier: Apache-2.0
"""Layouts with one small layer each: an honest one, and some that lie about it or about another."""
import hashlib
import io
import json
import pathlib
import sys
import tarfile

BUSYBOX = pathlib.Path(sys.argv[1])
OCI = "application/vnd.oci.image.layer.v1.tar"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(text):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("word")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


HONEST, OTHER = tar_of(b"honest\n"), tar_of(b"other\n")


def layout(name, layer, diff_id, label="", **descriptor):
    """busybox with a layer more."""
    blobs = pathlib.Path(name) / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    index = json.loads((BUSYBOX / "index.json").read_text())

    def get(digest):
        data = (BUSYBOX / "blobs" / "sha256" / digest[7:]).read_bytes()
        (blobs / digest[7:]).write_bytes(data)
        return data

    def put(data):
        (blobs / sha256(data)[7:]).write_bytes(data)
        return {"digest": sha256(data), "size": len(data)}
    manifest = json.loads(get(index["manifests"][0]["digest"]))
    config = json.loads(get(manifest["config"]["digest"]))
    for known in manifest["layers"]:
        get(known["digest"])
    config["rootfs"]["diff_ids"].append(diff_id)
    config["config"]["Labels"] = {"base": label or name}
    config["history"].append({"created": "2024-01-01T00:00:00Z", "created_by": "word"})
    manifest["layers"].append({"mediaType": OCI, **put(layer), **descriptor})
    manifest["config"].update(put(json.dumps(config).encode()))
    index["manifests"][0].update(put(json.dumps(manifest).encode()))
    (pathlib.Path(name) / "index.json").write_text(json.dumps(index))
    (pathlib.Path(name) / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


layout("honest", HONEST, sha256(HONEST))
layout("wrong-diff-id", OTHER, sha256(HONEST))
layout("wrong-size", HONEST, sha256(HONEST), size=len(HONEST) + 512)
layout("zero", HONEST, "sha256:" + 64 * "0")
layout("zero-blob", HONEST, sha256(HONEST), digest="sha256:" + 64 * "0")
layout("foreign", HONEST, sha256(HONEST), mediaType=FOREIGN, urls=["https://elsewhere.test/layer"])
layout("zstd-said", HONEST, sha256(HONEST), mediaType=OCI + "+zstd")
layout("odd-type", OTHER, sha256(OTHER), mediaType="application/x-layer")
