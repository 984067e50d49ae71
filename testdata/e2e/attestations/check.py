# SPDX-License-Identifier: Apache-2.0
"""Looks at the attestations of a layout: check.py LAYOUT WORD..., where the words say what has to be there."""
import json
import pathlib
import sys

layout, words = pathlib.Path(sys.argv[1]), sys.argv[2:]


def blob(descriptor):
    return json.loads((layout / "blobs" / "sha256" / descriptor["digest"][7:]).read_text())


entries = json.loads((layout / "index.json").read_text())["manifests"]
if "single" in words:
    assert len(entries) == 1 and "manifests" not in blob(entries[0]), entries
    sys.exit()
if "referrers" in words:
    image, statements = entries
else:
    assert len(entries) == 1, entries
    image, statements = blob(entries[0])["manifests"]
    assert statements["platform"] == {"architecture": "unknown", "os": "unknown"}, statements
assert statements["annotations"] == {"vnd.docker.reference.type": "attestation-manifest",
                                     "vnd.docker.reference.digest": image["digest"]}, statements
manifest = blob(statements)
if "image-config" in words:
    assert blob(manifest["config"])["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]], manifest
    assert "subject" not in manifest, manifest
else:
    assert manifest["artifactType"] == "application/vnd.docker.attestation.manifest.v1+json", manifest
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json" and blob(manifest["config"]) == {}
    assert manifest["subject"]["digest"] == image["digest"], manifest
found = {layer["annotations"]["in-toto.io/predicate-type"]: blob(layer) for layer in manifest["layers"]}
for kind, statement in found.items():
    assert statement["_type"] == "https://in-toto.io/Statement/v1" and statement["predicateType"] == kind, statement
    assert statement["subject"] == [{"name": "pkg:docker/x/y@1?platform=linux%2Famd64",
                                     "digest": {"sha256": image["digest"][7:]}}], statement["subject"]
types = {"v1": "https://slsa.dev/provenance/v1", "v0.2": "https://slsa.dev/provenance/v0.2", "sbom": "https://spdx.dev/Document"}
assert sorted(found) == sorted(types[word] for word in words if word in types), sorted(found)
text = json.dumps(found)
for hidden in ("hunter2hunter2", "confidential-token"):
    assert hidden not in text, text
if "v1" in words:
    predicate = found[types["v1"]]["predicate"]
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    request = definition["externalParameters"]["request"]
    assert definition["externalParameters"]["configSource"] == {"path": "Dockerfile"}, definition
    uris = [material["uri"] for material in definition["resolvedDependencies"]]
    assert len(uris) == 1 and uris[0].startswith("pkg:oci/busybox?digest=sha256:"), uris
    assert request["locals"] == [{"name": "context"}, {"name": "dockerfile"}], request
    complete = details["metadata"]["buildkit_completeness"]
    assert complete == {"request": False, "resolvedDependencies": False}, complete
    if "max" in words:
        assert request["args"]["build-arg:V"] == "2" and "build-arg:API_TOKEN" not in request["args"], request
        assert request["secrets"] == [{"id": "tok", "optional": True}], request
        steps = definition["internalParameters"]["buildConfig"]["llbDefinition"]
        run = [step["op"]["Op"]["exec"] for step in steps if "exec" in step["op"]["Op"]]
        assert len(run) == 1 and run[0]["network"] == 2 and "API_TOKEN=***" in run[0]["meta"]["env"], run
        source = details["metadata"]["buildkit_metadata"]["source"]
        assert source["locations"]["step1"] == {"locations": [{"ranges": [{"start": {"line": 3}, "end": {"line": 3}}]}]}, source
        assert details["metadata"]["buildkit_metadata"]["layers"], details
    else:
        assert "secrets" not in request and "buildConfig" not in definition["internalParameters"], request
if "v0.2" in words:
    predicate = found[types["v0.2"]]["predicate"]
    assert predicate["buildType"] == "https://mobyproject.org/buildkit@v1" and predicate["builder"]["id"] == "https://ci/1", predicate
if "sbom" in words:
    document = found[types["sbom"]]["predicate"]
    assert document["spdxVersion"] == "SPDX-2.3", document
    urls = [ref["referenceLocator"] for package in document["packages"] for ref in package.get("externalRefs", [])]
    assert urls == ["pkg:deb/debian/demo@1.2-3?arch=amd64", "pkg:npm/left-pad@1.3.0"], urls
