# SPDX-License-Identifier: Apache-2.0
"""Prints the media types of the images in layouts and archives, and whether a descriptor has URLs."""
import json
import pathlib
import sys

for layout in map(pathlib.Path, sys.argv[1:]):
    index = json.loads((layout / "index.json").read_text())
    top = index["manifests"][0]
    manifest = json.loads((layout / "blobs" / "sha256" / top["digest"][7:]).read_text())
    assert manifest["mediaType"] == top["mediaType"], manifest
    for part in (manifest["config"], *manifest["layers"]):
        print(layout.name, part["mediaType"], "urls" if "urls" in part else "")
