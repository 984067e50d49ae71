# SPDX-License-Identifier: Apache-2.0
"""describe.py LAYOUT...: what indexes and their images say, as JSON without digests of what is made and without times.

buildkit.json is this of the layouts that buildx 0.36 and BuildKit 0.32 write for the builds of case.json.
"""
import json
import pathlib
import sys

NOT_COMPARED = ("org.opencontainers.image.created", "org.opencontainers.image.ref.name")  # a time; a name where none was given


def describe(layout):
    def read(descriptor):
        return json.loads((layout / "blobs" / "sha256" / descriptor["digest"][7:]).read_text())

    out = []
    for top in json.loads((layout / "index.json").read_text())["manifests"]:
        index = read(top)
        notes = {k: v for k, v in top.get("annotations", {}).items() if k not in NOT_COMPARED}
        entries = []
        for entry in index["manifests"]:
            manifest = read(entry)
            config = read(manifest["config"])
            entries.append({"entry": {k: v for k, v in entry.items() if k not in ("digest", "size")}, "members": sorted(manifest),
                            "annotations": manifest.get("annotations"), "config type": manifest["config"]["mediaType"],
                            "layers": [layer["mediaType"] for layer in manifest["layers"]], "base": config["rootfs"]["diff_ids"][0],
                            "platform": [config.get(k) for k in ("os", "architecture", "variant")], "config": config["config"],
                            "history": [row.get("created_by") for row in config["history"]]})
        out.append({"type": top["mediaType"], "size": top["size"], "annotations": notes, "members": sorted(index),
                    "index annotations": index.get("annotations"), "images": entries})
    return out


if __name__ == "__main__":
    print(json.dumps({pathlib.Path(name).name: describe(pathlib.Path(name)) for name in sys.argv[1:]}, indent=1, sort_keys=True))
