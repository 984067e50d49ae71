# SPDX-License-Identifier: Apache-2.0
"""Prints for each layout its only layer's mark of rewritten times and the times of its files."""
import json
import pathlib
import sys
import tarfile

for name in sys.argv[1:]:
    layout = pathlib.Path(name)

    def blob(descriptor, layout=layout):
        return layout / "blobs" / descriptor["digest"].replace(":", "/")

    manifest = json.loads(blob(json.loads((layout / "index.json").read_text())["manifests"][0]).read_text())
    layer = manifest["layers"][0]
    with tarfile.open(blob(layer)) as tar:
        times = " ".join(f"{m.name}:{'later' if m.mtime > 1700000001 else int(m.mtime)}" for m in tar if m.isfile())
    print(name, layer.get("annotations", {}).get("buildkit/rewritten-timestamp"), times)
