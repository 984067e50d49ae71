# SPDX-License-Identifier: Apache-2.0
"""A base as people have it: Debian with a compiler, Python and git (about 450 MB), as gzip layers of an OCI layout; made once per
output directory, because it takes minutes."""
import gzip
import hashlib
import json
import pathlib
import shutil
import subprocess
import tarfile

PACKAGES = "gcc,libc6-dev,python3,git,ca-certificates"


def layer_of(name):
    """Where a path goes in the image of several layers."""
    for number, prefix in enumerate(("./usr/lib/gcc", "./usr/lib/x86_64-linux-gnu", "./usr/share"), 1):
        if name.startswith(prefix):
            return number
    return 0


def split(archive: pathlib.Path, out: pathlib.Path):
    """One uncompressed tar a layer. A hard link goes where its file is, a directory wherever something lies in it."""
    directories, places = {}, {}
    tars = [tarfile.open(out / f"{number}.tar", "w", format=tarfile.PAX_FORMAT) for number in range(4)]
    have = [set() for _ in tars]
    with tarfile.open(archive) as source:
        for member in source:
            member.name = "./" + member.name.removeprefix("./")
            number = places.get("./" + member.linkname.removeprefix("./"), 0) if member.islnk() else layer_of(member.name)
            places[member.name] = number
            if member.isdir():
                directories[member.name] = member
            for parent in list(pathlib.PurePath(member.name).parents)[-2::-1]:
                name = f"./{parent}"
                if name in directories and name not in have[number]:
                    tars[number].addfile(directories[name])
                    have[number].add(name)
            if member.name not in have[number]:
                tars[number].addfile(member, source.extractfile(member) if member.isreg() else None)
                have[number].add(member.name)
    for tar in tars:
        tar.close()
    return [out / f"{number}.tar" for number in range(4)]


def layout(tars, directory: pathlib.Path):
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content, kind):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}
    raw = [tar.read_bytes() for tar in tars]
    layers = [put(gzip.compress(data, 6, mtime=0), "layer.v1.tar+gzip") for data in raw]
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["bash"]},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest() for data in raw]},
              "history": [{"created_by": f"layer {number}"} for number in range(len(raw))]}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": put(json.dumps(config).encode(), "config.v1+json"), "layers": layers}
    top = put(json.dumps(manifest).encode(), "manifest.v1+json")
    top["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def make(directory: pathlib.Path):
    """{name of the image: layout}: the same files as one layer and as four."""
    layouts = {"debian": directory / "debian", "debian-layers": directory / "debian-layers"}
    if not all((path / "index.json").exists() for path in layouts.values()):
        work = directory / "work"
        for path in (work, *layouts.values()):
            shutil.rmtree(path, ignore_errors=True)
        work.mkdir(parents=True)
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", work / "all.tar"], check=True)
        layout([work / "all.tar"], layouts["debian"])
        layout(split(work / "all.tar", work), layouts["debian-layers"])
        shutil.rmtree(work)
    return layouts
