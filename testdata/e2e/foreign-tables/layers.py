# SPDX-License-Identifier: Apache-2.0
"""layers.py LAYOUT...: the diff ids of the only image of each layout, a line each."""
import json
import pathlib
import sys

for layout in map(pathlib.Path, sys.argv[1:]):
    def read(descriptor):
        return json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes())
    manifest = read(json.loads((layout / "index.json").read_bytes())["manifests"][0])
    print(*read(manifest["config"])["rootfs"]["diff_ids"])
