# SPDX-License-Identifier: Apache-2.0
"""show.py LAYOUT: the index of a layout line by line: itself, then of each entry platform, annotations, files."""
import gzip
import io
import json
import pathlib
import sys
import tarfile


def main():
    layout = pathlib.Path(sys.argv[1])

    def read(descriptor):
        data = (layout / "blobs" / "sha256" / descriptor["digest"][7:]).read_bytes()
        assert len(data) == descriptor["size"], descriptor
        return data

    tops = json.loads((layout / "index.json").read_text())["manifests"]
    assert len({top["digest"] for top in tops}) == 1, tops
    index = json.loads(read(tops[0]))
    assert index["mediaType"] == tops[0]["mediaType"], tops
    own = {k: v for k, v in tops[0].get("annotations", {}).items() if "image" not in k}
    print(index["mediaType"].rsplit(".", 2)[-2:], index.get("annotations", {}), own, "platform" in tops[0])
    for entry in index["manifests"]:
        manifest = json.loads(read(entry))
        assert manifest["mediaType"] == entry["mediaType"]
        config = json.loads(read(manifest["config"]))
        platform = {k: config[k] for k in ("os", "architecture", "variant") if k in config}
        assert platform == entry["platform"], (platform, entry)
        assert len(config["rootfs"]["diff_ids"]) == len(manifest["layers"])
        files = {}
        for layer in manifest["layers"]:
            data = read(layer)
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)) as tar:
                files.update({m.name: tar.extractfile(m).read().decode().strip() for m in tar if m.isreg() and m.size < 100})
        print("/".join(platform.values()), entry.get("annotations", {}), manifest.get("annotations", {}),
              " ".join(f"{name}={files[name]}" for name in sorted(files) if name != "id"),
              "BASE=" + "".join(e[5:] for e in config["config"].get("Env", []) if e.startswith("BASE=")))
        if "id" in files:
            print("id", files["id"])


if __name__ == "__main__":
    main()
