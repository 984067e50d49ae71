# SPDX-License-Identifier: Apache-2.0
"""The rules of the OCI image-spec (1.1) for its documents, and for docker's forms of them, as far as its schemas and its text have them.

document_problems() looks at one document; layout_problems(), archive_problems() and registry_problems() at everything that can be reached
in one place, and at what its parts say of each other: digests, sizes, media types, numbers of layers. All give lines of text.
A rule names the section that it is from: (descriptor), (manifest), (index), (config), (layout).

Where BuildKit breaks a rule and every engine reads the result, cbuild writes the same bytes, so that digests are equal: `created`,
`history` and `rootfs.diff_ids` are null where the image has none, and `layers` is then empty. Only these are let through.
"""
import base64
import binascii
import datetime
import fnmatch
import hashlib
import json
import pathlib
import re
import tarfile

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
OCI_INDEX, OCI_MANIFEST, OCI_CONFIG = OCI + "index.v1+json", OCI + "manifest.v1+json", OCI + "config.v1+json"
DOCKER_LIST = DOCKER + "distribution.manifest.list.v2+json"
DOCKER_MANIFEST = DOCKER + "distribution.manifest.v2+json"
DOCKER_CONFIG = DOCKER + "container.image.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
INDEXES, MANIFESTS, CONFIGS = {OCI_INDEX, DOCKER_LIST}, {OCI_MANIFEST, DOCKER_MANIFEST}, {OCI_CONFIG, DOCKER_CONFIG}
LAYERS = {
    OCI_CONFIG: {OCI + f"layer.{kind}v1.tar{end}" for kind in ("", "nondistributable.") for end in ("", "+gzip", "+zstd")},
    DOCKER_CONFIG: {DOCKER + "image.rootfs.diff.tar" + end for end in ("", ".gzip", ".zstd")} |
                   {DOCKER + "image.rootfs.foreign.diff.tar" + end for end in ("", ".gzip")},
}
# What attestation manifests and cosign's signatures have in the place of layers.
DOCUMENTS = {"application/vnd.in-toto+json", "application/vnd.dev.cosign.simplesigning.v1+json"}

NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
MEDIA_TYPE = re.compile(rf"{NAME}/{NAME}")
DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
PORT = re.compile(r"[0-9]{1,5}(/(tcp|udp|sctp))?")
MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


class Rules:
    """Collects what is wrong, each with the place in the document."""

    def __init__(self):
        self.problems = []

    def check(self, condition, place, words):
        if not condition:
            self.problems.append(f"{place}: {words}")
        return bool(condition)

    def member(self, value, key, kind, place, required=False):
        """The member, if it has that type; None otherwise."""
        if key not in value:
            self.check(not required, place, f"{key} is missing")
            return None
        found = value[key]
        good = isinstance(found, kind) and (kind is bool or not isinstance(found, bool))
        self.check(good, place, f"{key} is not of type {kind.__name__}: {json.dumps(found)[:80]}")
        return found if good else None

    def texts(self, value, key, place):
        """An optional array of strings."""
        found = self.member(value, key, list, place)
        for text in found or []:
            self.check(isinstance(text, str), place, f"{key} has {json.dumps(text)[:80]}, not a string")
        return found or []

    def annotations(self, value, key, place):
        for name, text in (self.member(value, key, dict, place) or {}).items():
            self.check(name, place, f"{key} has an empty name")
            self.check(isinstance(text, str), place, f"{key}: {name} is not a string")

    def moment(self, value, key, place):
        """RFC 3339, section 5.6."""
        text = self.member(value, key, str, place)
        if text is None:
            return
        found = MOMENT.fullmatch(text)
        try:
            good = found and datetime.datetime.fromisoformat(found.group(1) + ("+00:00" if found.group(3) == "Z" else found.group(3)))
        except ValueError:
            good = None
        self.check(good, place, f"{key} is not a time of RFC 3339: {text!r}")

    def digest(self, text, place):
        if not self.check(isinstance(text, str) and DIGEST.fullmatch(text), place, f"not a digest: {json.dumps(text)[:100]} (descriptor)"):
            return
        algorithm, _, encoded = text.partition(":")
        if algorithm in HEX_DIGITS:
            self.check(re.fullmatch(f"[0-9a-f]{{{HEX_DIGITS[algorithm]}}}", encoded), place, f"not a digest of {algorithm}: {text!r} (descriptor)")

    def media_type(self, value, key, place, required=False):
        text = self.member(value, key, str, place, required)
        self.check(text is None or MEDIA_TYPE.fullmatch(text), place, f"{key} is not a media type: {text!r} (descriptor)")
        return text

    def platform(self, value, place, may_be_empty=False):
        for key in ("architecture", "os"):
            text = self.member(value, key, str, place, required=True)
            self.check(text != "" or may_be_empty, place, f"{key} is empty (index)")
        for key in ("os.version", "variant"):
            self.member(value, key, str, place)
        self.texts(value, "os.features", place)

    def descriptor(self, value, place):
        if not self.check(isinstance(value, dict), place, "is not an object (descriptor)"):
            return
        self.media_type(value, "mediaType", place, required=True)
        if self.member(value, "digest", str, place, required=True) is not None:
            self.digest(value["digest"], place)
        size = self.member(value, "size", int, place, required=True)
        self.check(size is None or 0 <= size < 1 << 63, place, f"size is {size} (descriptor)")
        for url in self.texts(value, "urls", place):
            self.check(isinstance(url, str) and re.match(r"[a-z][a-z0-9+.-]*://.", url), place, f"not a URL: {url!r} (descriptor)")
        self.annotations(value, "annotations", place)
        self.media_type(value, "artifactType", place)
        self.data(value, place)
        if (platform := self.member(value, "platform", dict, place)) is not None:
            self.platform(platform, f"{place}.platform")

    def data(self, value, place):
        """Embedded content is that of the digest."""
        text = self.member(value, "data", str, place)
        if text is None:
            return
        try:
            content = base64.b64decode(text, validate=True)
        except binascii.Error:
            self.check(False, place, "data is not base64 (descriptor)")
            return
        self.check(len(content) == value.get("size"), place, "data has another size (descriptor)")
        if str(value.get("digest")).startswith("sha256:"):
            self.check(value["digest"][7:] == hashlib.sha256(content).hexdigest(), place, "data has another digest (descriptor)")

    def head(self, value, kinds, place):
        """What index and manifest begin with."""
        version = self.member(value, "schemaVersion", int, place, required=True)
        self.check(version is None or version == 2, place, f"schemaVersion is {version}, not 2")
        kind = self.media_type(value, "mediaType", place)
        self.check(kind is None or kind in kinds, place, f"mediaType is {kind!r}")
        self.annotations(value, "annotations", place)
        self.media_type(value, "artifactType", place)
        if "subject" in value:
            self.descriptor(value["subject"], f"{place}.subject")

    def index(self, value, place):
        self.head(value, INDEXES, place)
        for number, entry in enumerate(self.member(value, "manifests", list, place, required=True) or []):
            self.descriptor(entry, f"{place}.manifests[{number}]")

    def manifest(self, value, place):
        self.head(value, MANIFESTS, place)
        config = self.member(value, "config", dict, place, required=True)
        if config is not None:
            self.descriptor(config, f"{place}.config")
        layers = self.member(value, "layers", list, place, required=True)
        for number, layer in enumerate(layers or []):
            self.descriptor(layer, f"{place}.layers[{number}]")
        kind = (config or {}).get("mediaType")
        self.check(kind != EMPTY or "artifactType" in value, place, "artifactType is missing with an empty config (manifest)")
        for number, layer in enumerate(layers or []):
            if kind in LAYERS and isinstance(layer, dict):
                known = layer.get("mediaType") in LAYERS[kind] | DOCUMENTS
                self.check(known, f"{place}.layers[{number}]", f"mediaType {layer.get('mediaType')!r} is not one of layers (manifest)")

    def config(self, value, place):
        self.platform(value, place, may_be_empty=True)  # as cosign has it
        if value.get("created") is not None:
            self.moment(value, "created", place)
        self.member(value, "author", str, place)
        rootfs = self.member(value, "rootfs", dict, place, required=True) or {}
        if rootfs:
            self.check(rootfs.get("type") == "layers", place, f"rootfs.type is {rootfs.get('type')!r}, not 'layers' (config)")
            if rootfs.get("diff_ids", 0) is not None:
                for number, digest in enumerate(self.member(rootfs, "diff_ids", list, f"{place}.rootfs", required=True) or []):
                    self.digest(digest, f"{place}.rootfs.diff_ids[{number}]")
        if (settings := self.member(value, "config", dict, place)) is not None:
            self.settings(settings, f"{place}.config")
        if value.get("history") is not None:
            self.history(value, len(rootfs.get("diff_ids") or []), place)

    def settings(self, value, place):
        for key in ("User", "WorkingDir", "StopSignal"):
            self.member(value, key, str, place)
        self.member(value, "ArgsEscaped", bool, place)
        for key in ("Env", "Entrypoint", "Cmd"):
            if value.get(key) is not None or key == "Env":
                for text in self.texts(value, key, place):
                    self.check(key != "Env" or re.match("[^=]+=", str(text)), place, f"Env has {text!r}, not NAME=VALUE (config)")
        for key in ("ExposedPorts", "Volumes"):
            null = key == "Volumes" and value.get(key) is None
            for name, entry in ((not null and self.member(value, key, dict, place)) or {}).items():
                self.check(entry == {}, place, f"{key}: {name} is not an empty object (config)")
                self.check(key != "ExposedPorts" or PORT.fullmatch(name), place, f"ExposedPorts has {name!r} (config)")
        if value.get("Labels") is not None:
            self.annotations(value, "Labels", place)

    def history(self, value, layers, place):
        entries = self.member(value, "history", list, place) or []
        made = 0
        for number, entry in enumerate(entries):
            where = f"{place}.history[{number}]"
            if not self.check(isinstance(entry, dict), where, "is not an object (config)"):
                continue
            self.moment(entry, "created", where)
            for key in ("author", "created_by", "comment"):
                self.member(entry, key, str, where)
            made += not self.member(entry, "empty_layer", bool, where)
        self.check(not entries or made == layers, place, f"history has {made} entries with a layer, rootfs has {layers} (config)")


def document_problems(media_type, value, place="document"):
    """What is wrong with one document that is said to be of this media type; nothing for types that the spec does not know."""
    rules = Rules()
    kinds = [(INDEXES, rules.index), (MANIFESTS, rules.manifest), (CONFIGS, rules.config)]
    for known, function in kinds:
        if media_type in known:
            if rules.check(isinstance(value, dict), place, "is not an object"):
                function(value, place)
                said = value.get("mediaType")
                rules.check(known is CONFIGS or said in (None, media_type), place, f"is {media_type}, but says {said}")
                rules.check(media_type not in (DOCKER_LIST, DOCKER_MANIFEST) or said, place, "mediaType is missing, which docker requires")
    return rules.problems


class Place:
    """Blobs by digest; `read` gives bytes, or None."""

    def __init__(self, read, size):
        self.read, self.size = read, size
        self.seen = set()
        self.problems = []

    def walk(self, descriptor, where):
        """A descriptor that is known to be one, its blob, and what that leads to."""
        kind, digest = descriptor["mediaType"], descriptor["digest"]
        if (kind, digest) in self.seen:
            return
        self.seen.add((kind, digest))
        size = self.size(digest)
        if size is None:
            if not descriptor.get("urls"):
                self.problems.append(f"{where}: {digest} is missing")
            return
        if size != descriptor["size"]:
            self.problems.append(f"{where}: {digest} has {size} bytes, not {descriptor['size']}")
        if kind not in INDEXES | MANIFESTS | CONFIGS:
            return
        body = self.read(digest)
        algorithm, _, encoded = digest.partition(":")
        if hashlib.new(algorithm, body).hexdigest() != encoded:
            self.problems.append(f"{where}: {digest} is the digest of other bytes")
        self.document(kind, body, f"{where}>{digest[:15]}")

    def document(self, kind, body, where):
        try:
            value = json.loads(body)
        except ValueError as error:
            self.problems.append(f"{where}: {error}")
            return
        problems = document_problems(kind, value, where)
        self.problems += problems
        if problems:
            return
        for key in ("manifests", "layers"):
            for number, entry in enumerate(value.get(key, []) if kind not in CONFIGS else []):
                self.walk(entry, f"{where}.{key}[{number}]")
        if kind in MANIFESTS:
            self.walk(value["config"], f"{where}.config")
            self.compare(value, where)

    def compare(self, manifest, where):
        """The config has a diff id for each layer."""
        if manifest["config"]["mediaType"] not in CONFIGS or self.size(manifest["config"]["digest"]) is None:
            return
        try:
            ids = json.loads(self.read(manifest["config"]["digest"]))["rootfs"]["diff_ids"] or []
        except (ValueError, KeyError, TypeError):
            return  # said already
        if len(ids) != len(manifest["layers"]):
            self.problems.append(f"{where}: {len(manifest['layers'])} layers, but {len(ids)} diff ids")


def index_problems(read, size, marker, index):
    """A layout, given by its files."""
    place = Place(read, size)
    try:
        version = json.loads(marker)
        if version.get("imageLayoutVersion") != "1.0.0":
            place.problems.append(f"oci-layout: imageLayoutVersion is {version.get('imageLayoutVersion')!r} (layout)")
    except (ValueError, AttributeError):
        place.problems.append("oci-layout: is not an object in JSON (layout)")
    if index is None:
        return [*place.problems, "index.json is missing (layout)"]
    place.document(OCI_INDEX, index, "index.json")
    return place.problems


def layout_problems(directory):
    def path(digest):
        return directory / "blobs" / digest.replace(":", "/")
    index = directory / "index.json"
    return index_problems(lambda digest: path(digest).read_bytes(), lambda digest: path(digest).stat().st_size if path(digest).is_file() else None,
                          (directory / "oci-layout").read_bytes(), index.read_bytes() if index.is_file() else None)


def archive_problems(file):
    """None where the file is not an archive of a layout."""
    try:
        with tarfile.open(file, "r:") as tar:
            members = {re.sub(r"^\./", "", member.name): member for member in tar if member.isreg()}
            if "oci-layout" not in members:
                return None

            def name(digest):
                return f"blobs/{digest.replace(':', '/')}"
            return index_problems(lambda digest: tar.extractfile(members[name(digest)]).read(),
                                  lambda digest: members[name(digest)].size if name(digest) in members else None,
                                  tar.extractfile(members["oci-layout"]).read(),
                                  tar.extractfile(members["index.json"]).read() if "index.json" in members else None)
    except (tarfile.TarError, OSError, EOFError):
        return None


def registry_problems(root):
    """All manifests that a tag of a docker-registry leads to, with its storage below `root`. Manifests that have lost their tag may have
    lost blobs, too: a cache removes those that it needs no more."""
    base = root / "docker/registry/v2"

    def path(digest):
        algorithm, _, encoded = digest.partition(":")
        return base / "blobs" / algorithm / encoded[:2] / encoded / "data"
    place = Place(lambda digest: path(digest).read_bytes(), lambda digest: path(digest).stat().st_size if path(digest).is_file() else None)
    for link in sorted(base.glob("repositories/**/_manifests/tags/*/current/link")):
        digest = link.read_text()
        if not path(digest).is_file():
            continue
        body = path(digest).read_bytes()
        value = json.loads(body)
        kind = value.get("mediaType") or (OCI_INDEX if "manifests" in value else OCI_MANIFEST)
        repository = str(link.relative_to(base / "repositories")).partition("/_manifests")[0]
        place.document(kind, body, f"{repository}@{digest[:15]}")
    return place.problems


def found_in(directory):
    """Layouts and archives of them below a directory, by path."""
    for marker in directory.rglob("oci-layout"):
        if marker.is_file() and not marker.is_symlink():
            yield marker.parent, lambda place=marker.parent: layout_problems(place)
    for file in directory.rglob("*.tar"):
        if file.is_file() and not file.is_symlink():
            yield file, lambda place=file: archive_problems(place)


def problems_below(directory, foreign=()):
    """Of all layouts and archives below a directory but those whose relative paths match one of the patterns."""
    out = []
    for place, problems in found_in(pathlib.Path(directory)):
        relative = place.relative_to(directory)
        if any(fnmatch.fnmatchcase(str(relative), pattern) for pattern in foreign):
            continue
        out += [f"{relative}: {problem}" for problem in problems() or []]
    return out
