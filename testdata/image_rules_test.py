#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""image_rules.py takes good documents and refuses broken ones: each row breaks one thing and names words of the answer."""
import base64
import copy
import hashlib
import json
import pathlib
import sys
import tarfile
import tempfile

import image_rules as rules

DIGEST = "sha256:" + "a" * 64


def descriptor(media_type, **more):
    return {"mediaType": media_type, "digest": DIGEST, "size": 7, **more}


CONFIG = {
    "architecture": "arm64", "variant": "v8", "os": "linux", "created": "2024-02-29T12:00:00.123456789Z", "author": "me",
    "config": {"User": "1000:1000", "ExposedPorts": {"80/tcp": {}, "53": {}}, "Env": ["A=b", "C="], "Entrypoint": ["/x"], "Cmd": None,
               "Volumes": {"/data": {}}, "WorkingDir": "/", "Labels": {"a": "b"}, "StopSignal": "SIGTERM"},
    "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
    "history": [{"created": "2024-01-01T00:00:00+02:00", "created_by": "RUN x"}, {"created_by": "ENV", "empty_layer": True}],
}
MANIFEST = {
    "schemaVersion": 2, "mediaType": rules.OCI_MANIFEST, "config": descriptor(rules.OCI_CONFIG),
    "layers": [descriptor(rules.OCI + "layer.v1.tar+gzip", annotations={"a": "b"}, urls=["https://example.com/x"])],
    "annotations": {"a": "b"}, "subject": descriptor(rules.OCI_MANIFEST), "artifactType": "application/x.y",
}
INDEX = {
    "schemaVersion": 2, "mediaType": rules.OCI_INDEX,
    "manifests": [descriptor(rules.OCI_MANIFEST, platform={"architecture": "amd64", "os": "linux", "os.features": ["x"]})],
}
EMPTY_CONFIG = {**MANIFEST, "config": {"mediaType": rules.EMPTY, "digest": "sha256:" + hashlib.sha256(b"{}").hexdigest(), "size": 2,
                                       "data": base64.b64encode(b"{}").decode()}}
BARE = {"architecture": "arm", "config": {}, "created": None, "history": None, "os": "linux", "rootfs": {"type": "layers", "diff_ids": None}}
GOOD = {"bare": (rules.OCI_CONFIG, BARE), "config": (rules.OCI_CONFIG, CONFIG), "manifest": (rules.OCI_MANIFEST, MANIFEST), "index": (rules.OCI_INDEX, INDEX),
        "artifact": (rules.OCI_MANIFEST, EMPTY_CONFIG)}
GONE = object()

# document, path of the member, its value, words of the answer
BROKEN = [
    ("index", "schemaVersion", 1, "schemaVersion is 1"),
    ("index", "schemaVersion", "2", "schemaVersion is not of type int"),
    ("index", "schemaVersion", True, "schemaVersion is not of type int"),
    ("index", "mediaType", rules.OCI_MANIFEST, "mediaType is"),
    ("index", "manifests", GONE, "manifests is missing"),
    ("index", "manifests", {}, "manifests is not of type list"),
    ("index", "manifests.0", "x", "is not an object"),
    ("index", "manifests.0.platform.os", GONE, "os is missing"),
    ("index", "manifests.0.platform.architecture", "", "architecture is empty"),
    ("index", "manifests.0.platform.os.features", "x", "os.features is not of type list"),
    ("index", "manifests.0.digest", GONE, "digest is missing"),
    ("index", "manifests.0.digest", "sha256:abc", "not a digest of sha256"),
    ("index", "manifests.0.digest", "sha256:" + "A" * 64, "not a digest of sha256"),
    ("index", "manifests.0.digest", "a" * 64, "not a digest"),
    ("index", "manifests.0.size", -1, "size is -1"),
    ("index", "manifests.0.size", 1 << 63, "size is 9223372036854775808"),
    ("index", "manifests.0.size", 7.0, "size is not of type int"),
    ("index", "manifests.0.mediaType", "nothing", "mediaType is not a media type"),
    ("index", "manifests.0.mediaType", GONE, "mediaType is missing"),
    ("manifest", "config", GONE, "config is missing"),
    ("manifest", "config.size", GONE, "size is missing"),
    ("manifest", "layers", GONE, "layers is missing"),
    ("manifest", "layers", None, "layers is not of type list"),
    ("manifest", "layers.0.mediaType", "application/x.y", "is not one of layers"),
    ("manifest", "layers.0.annotations.a", 5, "a is not a string"),
    ("manifest", "layers.0.urls", ["no"], "not a URL"),
    ("manifest", "annotations", ["a"], "annotations is not of type dict"),
    ("manifest", "subject", {"digest": DIGEST}, "subject: mediaType is missing"),
    ("manifest", "artifactType", "x y", "artifactType is not a media type"),
    ("artifact", "artifactType", GONE, "artifactType is missing with an empty config"),
    ("artifact", "config.data", "e30", "data is not base64"),
    ("artifact", "config.data", "e30K", "data has another size"),
    ("artifact", "config.data", "W10=", "data has another digest"),
    ("config", "architecture", GONE, "architecture is missing"),
    ("config", "os", 1, "os is not of type str"),
    ("config", "created", "2024-02-30T12:00:00Z", "created is not a time"),
    ("config", "created", "2024-02-20 12:00:00Z", "created is not a time"),
    ("config", "rootfs", GONE, "rootfs is missing"),
    ("config", "rootfs.type", "files", "rootfs.type is 'files'"),
    ("config", "rootfs.diff_ids", GONE, "diff_ids is missing"),
    ("config", "rootfs.diff_ids.0", "md5", "not a digest"),
    ("config", "rootfs.diff_ids", None, "history has 1 entries with a layer, rootfs has 0"),
    ("config", "config", None, "config is not of type dict"),
    ("config", "config.User", 0, "User is not of type str"),
    ("config", "config.Env", None, "Env is not of type list"),
    ("config", "config.Env", ["A"], "not NAME=VALUE"),
    ("config", "config.Env", ["=b"], "not NAME=VALUE"),
    ("config", "config.Entrypoint", "/x", "Entrypoint is not of type list"),
    ("config", "config.Cmd", [1], "Cmd has 1, not a string"),
    ("config", "config.ExposedPorts", {"x/tcp": {}}, "ExposedPorts has 'x/tcp'"),
    ("config", "config.ExposedPorts", ["80"], "ExposedPorts is not of type dict"),
    ("config", "config.Volumes", {"/data": 1}, "/data is not an empty object"),
    ("config", "config.Labels", {"a": 1}, "a is not a string"),
    ("config", "history.0.empty_layer", True, "history has 0 entries with a layer, rootfs has 1"),
    ("config", "history.0.empty_layer", "no", "empty_layer is not of type bool"),
    ("config", "history.0.created", "now", "created is not a time"),
    ("config", "history.0", [], "is not an object"),
]


def broken(document, path, value):
    out = copy.deepcopy(document)
    *parents, last = [*path.split(".")] if ".features" not in path else [*path.split(".")[:-2], "os.features"]
    node = out
    for part in parents:
        node = node[int(part) if isinstance(node, list) else part]
    last = int(last) if isinstance(node, list) else last
    if value is GONE:
        del node[last]
    else:
        node[last] = value
    return out


def documents():
    failures = []
    for name, (kind, document) in GOOD.items():
        if problems := rules.document_problems(kind, document):
            failures.append(f"good {name} refused: {problems}")
    for name, path, value, words in BROKEN:
        kind, document = GOOD[name]
        problems = rules.document_problems(kind, broken(document, path, value))
        if not any(words in problem for problem in problems):
            failures.append(f"{name} with {path} = {value!r}: no '{words}' in {problems}")
    docker = {**MANIFEST, "mediaType": rules.DOCKER_MANIFEST}
    if not any("but says" in problem for problem in rules.document_problems(rules.OCI_MANIFEST, docker)):
        failures.append("a manifest of another media type than its descriptor says is taken")
    del docker["mediaType"]
    if not any("docker requires" in problem for problem in rules.document_problems(rules.DOCKER_MANIFEST, docker)):
        failures.append("docker's manifest without mediaType is taken")
    return failures


class Written:
    """A layout with one image, which a row may break before it is looked at."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "blobs/sha256").mkdir(parents=True)
        (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.layer = self.put(b"a layer", rules.OCI + "layer.v1.tar")
        self.config = self.put(json.dumps({**CONFIG, "rootfs": {"type": "layers", "diff_ids": [self.layer["digest"]]}}).encode(), rules.OCI_CONFIG)

    def put(self, content, media_type):
        digest = hashlib.sha256(content).hexdigest()
        (self.directory / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(content)}

    def file(self, entry):
        return self.directory / "blobs" / entry["digest"].replace(":", "/")

    def finish(self, layers=None, **more):
        manifest = self.put(json.dumps({"schemaVersion": 2, "config": self.config, "layers": [self.layer] if layers is None else layers}).encode(), rules.OCI_MANIFEST)
        (self.directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{**manifest, **more}]}))
        return manifest


def swap(file, content):
    file.write_bytes(content)


LAYOUTS = [
    ("good", lambda w: w.finish(), None),
    ("a layer is missing", lambda w: (w.finish(), w.file(w.layer).unlink()), "is missing"),
    ("a layer has another size", lambda w: (w.finish(), swap(w.file(w.layer), b"longer than it was")), "has 18 bytes, not 7"),
    ("a config has other bytes",
     lambda w: (w.finish(), swap(w.file(w.config), w.file(w.config).read_bytes().replace(b"me", b"we"))), "digest of other bytes"),
    ("a config is not JSON", lambda w: (setattr(w, "config", w.put(b"{", rules.OCI_CONFIG)), w.finish()), "Expecting"),
    ("the manifest has another size", lambda w: w.finish(size=5), "not 5"),
    ("two layers, one diff id", lambda w: w.finish(layers=[w.layer, w.layer]), "2 layers, but 1 diff ids"),
    ("no layers, one diff id", lambda w: w.finish(layers=[]), "0 layers, but 1 diff ids"),
    ("another version", lambda w: (w.finish(), (w.directory / "oci-layout").write_text("{}")), "imageLayoutVersion is None"),
    ("no index", lambda w: (w.finish(), (w.directory / "index.json").unlink()), "index.json is missing"),
    ("a broken index", lambda w: (w.finish(), (w.directory / "index.json").write_text('{"schemaVersion": 2}')), "manifests is missing"),
]


def to_registry(layout, root):
    """The same blobs as a docker-registry stores them."""
    base = root / "docker/registry/v2"
    for blob in (layout / "blobs/sha256").iterdir():
        place = base / "blobs/sha256" / blob.name[:2] / blob.name
        place.mkdir(parents=True)
        (place / "data").write_bytes(blob.read_bytes())
    for entry in json.loads((layout / "index.json").read_text())["manifests"]:
        link = base / "repositories/a/b/_manifests/tags/1/current/link"
        link.parent.mkdir(parents=True)
        link.write_text(entry["digest"])


def places(work):
    failures = []
    for number, (name, change, words) in enumerate(LAYOUTS):
        directory = work / str(number) / "layout"
        change(Written(directory))
        archive = work / str(number) / "image.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(directory, arcname=".")
        below = rules.problems_below(work / str(number))
        for kind in ("layout", "image.tar"):
            problems = [problem for problem in below if problem.startswith(kind)]
            if (words is None and problems) or (words and not any(words in problem for problem in problems)):
                failures.append(f"{kind}, {name}: {problems}")
        if rules.problems_below(work / str(number), ["layout", "*.tar"]):
            failures.append(f"{name}: foreign places are looked at")
    to_registry(work / "0/layout", work / "registry")
    if problems := rules.registry_problems(work / "registry"):
        failures.append(f"registry: {problems}")
    to_registry(work / "6/layout", work / "bad-registry")
    if not any("2 layers, but 1 diff ids" in problem for problem in rules.registry_problems(work / "bad-registry")):
        failures.append("registry: a manifest with too many layers is taken")
    (work / "other.tar").write_bytes(b"no archive")
    if rules.archive_problems(work / "other.tar") is not None:
        failures.append("a file that is not an archive is one of a layout")
    return failures


def main():
    with tempfile.TemporaryDirectory() as work:
        failures = documents() + places(pathlib.Path(work))
    print("\n".join(failures) or f"{len(BROKEN) + len(LAYOUTS)} broken documents refused")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
