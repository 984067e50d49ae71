# SPDX-License-Identifier: Apache-2.0
"""Image layouts that cases make themselves; for their scripts, with PYTHONPATH=$KIT."""
import hashlib
import io
import json
import pathlib
import tarfile

OCI = "application/vnd.oci.image."


class Layout:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.blobs = self.directory / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)

    def put(self, content, media_type):
        """Bytes, or a document; gives its descriptor."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return {"mediaType": OCI + media_type, "digest": "sha256:" + digest, "size": len(data)}

    def put_image(self, platform, name, content, config=None, mode=0o644):
        """An image of one layer with one program or file; gives the descriptor of its manifest."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(content)
            tar.addfile(info, io.BytesIO(content))
        layer = self.put(buffer.getvalue(), "layer.v1.tar")
        document = self.put({**platform, "config": config or {}, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
                             "history": [{"created_by": "base"}]}, "config.v1+json")
        return self.put({"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": document, "layers": [layer]},
                        "manifest.v1+json")

    def finish(self, top):
        """`top`: the only entry of index.json."""
        (self.directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
        (self.directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
