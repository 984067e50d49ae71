# SPDX-License-Identifier: Apache-2.0
"""Bases of the cases, as OCI layouts with layers of each media type."""
import gzip
import hashlib
import io
import json
import tarfile

OCI, DOCKER = "application/vnd.oci.image.", "application/vnd.docker."
# Media types of manifest, config and layer.
FORMS = {
    "base": (OCI + "manifest.v1+json", OCI + "config.v1+json", OCI + "layer.v1.tar+gzip"),
    "plain-base": (OCI + "manifest.v1+json", OCI + "config.v1+json", OCI + "layer.v1.tar"),
    "docker-base": (DOCKER + "distribution.manifest.v2+json", DOCKER + "container.image.v1+json",
                    DOCKER + "image.rootfs.diff.tar.gzip"),
    "foreign-base": (OCI + "manifest.v1+json", OCI + "config.v1+json", OCI + "layer.nondistributable.v1.tar+gzip"),
    "docker-foreign-base": (DOCKER + "distribution.manifest.v2+json", DOCKER + "container.image.v1+json",
                            DOCKER + "image.rootfs.foreign.diff.tar.gzip"),
}


def expand(text, names):
    for name, value in names.items():
        text = text.replace("${%s}" % name, value)
    return text


def layer(text):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in ("etc/", "etc/base"):
            info = tarfile.TarInfo(name.rstrip("/"))
            info.type, info.mode, info.mtime = (tarfile.DIRTYPE, 0o755, 1700000000) if name.endswith("/") else (tarfile.REGTYPE, 0o644, 1700000000)
            info.size = len(text) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(text) if info.isreg() else None)
    return content.getvalue()


def make(directory, form, text):
    """The source of a named context, with a file of that text."""
    manifest_type, config_type, layer_type = FORMS[form]
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(content, media_type):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(content)}
    plain = layer(text.encode())
    entry = put(gzip.compress(plain, mtime=0) if layer_type.endswith("gzip") else plain, layer_type)
    if "foreign" in layer_type or "nondistributable" in layer_type:
        entry["urls"] = ["https://127.0.0.1:1/layer"]
    config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]},
                             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
                             "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "base"}]}).encode(), config_type)
    manifest = put(json.dumps({"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [entry]}).encode(), manifest_type)
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return f"{directory}@{manifest['digest']}"

