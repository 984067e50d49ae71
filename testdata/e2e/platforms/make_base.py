# SPDX-License-Identifier: Apache-2.0
"""make_base.py DIR PLATFORM...: an image layout whose index has one image for each platform, with /platform in it."""
import sys

import image_layout


def main():
    layout = image_layout.Layout(sys.argv[1])
    entries = []
    for name in sys.argv[2:]:
        parts = name.split("/")
        platform = {"os": parts[0], "architecture": parts[1], **({"variant": parts[2]} if parts[2:] else {})}
        manifest = layout.put_image(platform, "platform", name.encode(), {"Env": ["BASE=" + name]})
        entries.append({**manifest, "platform": platform})
    index = layout.put({"schemaVersion": 2, "mediaType": image_layout.OCI + "index.v1+json", "manifests": entries}, "index.v1+json")
    layout.finish({**index, "annotations": {"org.opencontainers.image.ref.name": "latest"}})


if __name__ == "__main__":
    main()
