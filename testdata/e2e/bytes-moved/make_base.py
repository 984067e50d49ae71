# SPDX-License-Identifier: Apache-2.0
"""make_base.py LAYOUT SEED: a base of one layer that is 4 MB of bytes no compression makes smaller, with a few names and owners."""
import gzip
import hashlib
import io
import json
import pathlib
import random
import sys
import tarfile

layout, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2])
blobs = layout / "blobs" / "sha256"
blobs.mkdir(parents=True)


def put(content, kind):
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": "sha256:" + digest, "size": len(content)}


raw = io.BytesIO()
with tarfile.open(fileobj=raw, mode="w") as tar:
    def add(name, data=None, **more):
        info = tarfile.TarInfo(name)
        info.type, info.mtime = (tarfile.DIRTYPE if data is None else tarfile.REGTYPE), 1700000000
        info.mode, info.size = (0o755, 0) if data is None else (0o644, len(data))
        for key, value in more.items():
            setattr(info, key, value)
        tar.addfile(info, None if data is None else io.BytesIO(data))
    add("etc")
    add("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nuser:x:1234:5678::/:/bin/sh\n")
    add("etc/group", b"root:x:0:\nuser:x:5678:\n")
    add("srv", uid=42, gid=43, mode=0o2775)
    add("app", type=tarfile.SYMTYPE, linkname="srv")
    add("big", random.Random(seed).randbytes(4_000_000))
    add("one", b"one file\n")
layer = put(gzip.compress(raw.getvalue(), mtime=0), "layer.v1.tar+gzip")
diff_id = "sha256:" + hashlib.sha256(raw.getvalue()).hexdigest()
config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode(), "config.v1+json")
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
                           "layers": [layer]}).encode(), "manifest.v1+json")
manifest["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
(layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
(layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
