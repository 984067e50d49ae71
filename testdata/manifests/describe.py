# SPDX-License-Identifier: Apache-2.0
"""An exported result as JSON in which two builders can agree: no sizes and times, and digests by what they are of."""
import base64
import contextlib
import gzip
import io
import json
import pathlib
import re
import subprocess
import tarfile
import urllib.error
import urllib.request

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
ACCEPT = ", ".join(["application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
                    "application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json"])
STATEMENT_TYPE = "application/vnd.in-toto+json"


class Layout:
    def __init__(self, directory):
        self.directory = directory

    def blob(self, digest, _type=None):
        return (self.directory / "blobs" / digest.replace(":", "/")).read_bytes()

    def top(self):
        index = json.loads((self.directory / "index.json").read_text())
        return index["manifests"], {k: v for k, v in index.items() if k != "manifests"}


class Registry:
    def __init__(self, name):
        host, _, path = name.partition("/")
        self.path, _, self.tag = path.partition(":")
        self.url = f"http://{host}/v2/{self.path}"

    def get(self, what, **headers):
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{what}", headers=headers), timeout=60) as answer:
            return answer.read(), answer.headers

    def blob(self, digest, media_type=""):
        kind = "manifests" if ".manifest." in media_type or ".index." in media_type else "blobs"
        return self.get(f"{kind}/{digest}", Accept=ACCEPT)[0]

    def top(self):
        body, headers = self.get(f"manifests/{self.tag}", Accept=ACCEPT)
        digest = headers["Docker-Content-Digest"]
        return [{"mediaType": headers["Content-Type"], "digest": digest, "size": len(body)}], {}


def extracted(archive, directory):
    with tarfile.open(archive) as tar:
        tar.extractall(directory)
    return directory


class Description:
    def __init__(self, names):
        self.names = names   # texts of this run -> their stand-ins
        self.labels = {}     # digests -> what they are of

    def text(self, value):
        for name, label in self.names.items():
            value = value.replace(name, label)
        value = DIGEST.sub(lambda found: self.labels.get(found.group(1), "sha256:OTHER"), value)
        value = re.sub(r"\b[0-9a-f]{64}\b", lambda found: self.labels.get(found.group(0), "OTHER"), value)
        return TIME.sub("TIME", value)

    def plain(self, value):
        if isinstance(value, dict):
            return {self.text(key): self.plain(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.plain(one) for one in value]
        return self.text(value) if isinstance(value, str) else value

    def label(self, digest, name):
        self.labels.setdefault(digest.removeprefix("sha256:"), name)

    def read(self, what, out, registry):
        form, _, name = what.partition(":")
        if form == "metadata":
            return self.metadata(json.loads((out / "metadata.json").read_text()))
        if form == "oci":
            return self.image(Layout(out / name))
        if form in ("ocitar", "dockertar"):
            return self.archive(out / name)
        if form == "push":
            try:
                return self.image(Registry(f"{registry}{name}"))
            except urllib.error.HTTPError as error:
                return f"HTTP {error.code}"
        return self.files(out / name) if form == "files" else self.tar(out / name)

    def archive(self, path):
        directory = extracted(path, path.parent / (path.name + ".d"))
        value = self.image(Layout(directory))
        manifest = directory / "manifest.json"
        if manifest.exists():
            value["manifest.json"] = self.plain(json.loads(manifest.read_text()))
        with tarfile.open(path) as tar:
            value["names"] = sorted({self.text(re.sub(r"sha256/[0-9a-f]{64}", "sha256/X", m.name.rstrip("/"))) for m in tar})
        return value

    def image(self, place):
        entries, index = place.top()
        for number, entry in enumerate(entries):
            self.document_labels(place, entry, f"top{number}")
        return {"index": self.plain(index), "entries": [self.document(place, entry) for entry in entries]}

    def document_labels(self, place, entry, name):
        """Digests are called by their place, before anything that mentions them is shown."""
        self.label(entry["digest"], f"<{name}>")
        body = json.loads(place.blob(entry["digest"], entry["mediaType"]))
        for number, one in enumerate(body.get("manifests", [])):
            self.document_labels(place, one, f"{name}.{number}")
        if body.get("config", {}).get("digest"):
            self.label(body["config"]["digest"], f"<{name}.config>")
        for number, one in enumerate(body.get("layers") or []):
            if one["mediaType"] != STATEMENT_TYPE:  # may be equal by chance
                self.label(one["digest"], f"<{name}.layer{number}>")

    def descriptor(self, entry):
        return self.plain({key: value for key, value in entry.items() if key not in ("size", "data")})

    def document(self, place, entry):
        body = json.loads(place.blob(entry["digest"], entry["mediaType"]))
        value = {"descriptor": self.descriptor(entry),
                 "document": self.plain({k: v for k, v in body.items() if k not in ("manifests", "config", "layers", "subject")})}
        if "subject" in body:
            value["subject"] = self.descriptor(body["subject"])
        if "manifests" in body:
            value["manifests"] = [self.document(place, one) for one in body["manifests"]]
        if "config" in body:
            value["config"] = self.config(place, body["config"])
            value["layers"] = [self.layer(place, one) for one in body["layers"] or []]
        return value

    def config(self, place, entry):
        value = self.descriptor(entry)
        body = json.loads(place.blob(entry["digest"]))
        value["keys"] = sorted(body)
        value["platform"] = {k: body[k] for k in ("os", "architecture", "variant", "os.version") if k in body}
        if "rootfs" in body:
            value["diff_ids"] = len(body["rootfs"].get("diff_ids") or [])
        value["history"] = [[row.get("created_by"), row.get("comment"), row.get("empty_layer", False), "created" in row]
                            for row in body.get("history") or []]
        return self.plain(value)

    def layer(self, place, entry):
        value = self.descriptor(entry)
        with contextlib.suppress(KeyError):
            value["annotations"] = {k: re.sub(r"^\d+$", "N", v) for k, v in value["annotations"].items()}
        body = place.blob(entry["digest"])
        if entry["mediaType"] == STATEMENT_TYPE:
            value["statement"] = self.statement(json.loads(body))
        else:
            value["magic"] = {"1f8b": "gzip", "28b5": "zstd"}.get(body[:2].hex(), "tar")
            value["names"] = self.members(body, value["magic"])
        return value

    @staticmethod
    def members(body, magic):
        if magic == "zstd":
            body = subprocess.run(["zstd", "-dcq"], input=body, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(body) if magic == "gzip" else body)) as tar:
            return sorted(m.name.rstrip("/") for m in tar)

    def statement(self, body):
        return {**self.plain({k: v for k, v in body.items() if k != "predicate"}), "predicate": self.shape(body["predicate"])}

    def shape(self, value):
        return dict.fromkeys(sorted(self.keys(value)), True)

    def keys(self, value, path=""):
        """Paths of a JSON value; elements of lists are one."""
        if isinstance(value, dict) and value:
            return {found for key, one in value.items() for found in self.keys(one, f"{path}/{self.text(key)}")}
        if isinstance(value, list) and value:
            return {found for one in value for found in self.keys(one, f"{path}[]")}
        return {path}

    def metadata(self, body):
        value = {}
        for key, one in body.items():
            if key.startswith("buildx.build.provenance"):
                value[key] = self.shape(one)
            elif key == "buildx.build.ref":
                value[key] = "/".join("X" for _ in one.split("/"))
            elif key == "cache.manifest":
                value[key] = {"mediaType": json.loads(one)["mediaType"]}
            elif key == "buildx.build.warnings":
                value[key] = sorted((self.warning(warning) for warning in one), key=lambda warning: warning["short"])
            else:
                value[key] = self.descriptor(one) if isinstance(one, dict) else self.plain(one)
        return value

    def warning(self, value):
        """Whole, with the texts decoded."""
        decoded = {**value, "short": base64.b64decode(value["short"]).decode(), "vertex": "X",
                   "detail": [base64.b64decode(one).decode() for one in value.get("detail", [])]}
        decoded["sourceInfo"] = {**value["sourceInfo"], "data": base64.b64decode(value["sourceInfo"]["data"]).decode()}
        return self.plain(decoded)

    def files(self, directory):
        paths = sorted(path for path in directory.rglob("*"))
        return {str(path.relative_to(directory)): self.file(path.name, path.read_bytes()) if path.is_file() else "d" for path in paths}

    def tar(self, path):
        if not pathlib.Path(path).exists():
            return "absent"
        with tarfile.open(path) as tar:
            return {m.name.rstrip("/"): self.file(m.name, tar.extractfile(m).read()) if m.isreg() else "d" for m in tar}

    def file(self, name, content):
        if name.endswith(".json"):
            return self.statement(json.loads(content))
        return content.decode(errors="replace")
