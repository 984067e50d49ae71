# SPDX-License-Identifier: Apache-2.0
"""Base images for the end-to-end cases, as OCI layouts, made from Debian packages once per machine."""
import fcntl
import hashlib
import json
import pathlib
import pwd
import shutil
import subprocess
import tarfile
import tempfile

SUITE = "bookworm"


def layout_from_tar(tar: pathlib.Path, layout: pathlib.Path, command: list):
    """One uncompressed layer, a small config, the tag latest."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return digest, len(content)
    hasher = hashlib.sha256()
    with open(tar, "rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    layer = hasher.hexdigest()
    size = tar.stat().st_size
    shutil.copyfile(tar, blobs / layer)
    config, config_size = put(json.dumps({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[subprocess.check_output(["uname", "-m"], text=True).strip()],
        "os": "linux", "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + layer]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "base"}]}).encode())
    manifest, manifest_size = put(json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + config, "size": config_size},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + layer, "size": size}]}).encode())
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + manifest, "size": manifest_size,
        "annotations": {"org.opencontainers.image.ref.name": "latest"}}]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def busybox(tar_path: pathlib.Path):
    binary = shutil.which("busybox")
    with tarfile.open(tar_path, "w") as tar:
        def add(name, kind=tarfile.DIRTYPE, mode=0o755, data=b"", link=""):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size, info.linkname, info.mtime = kind, mode, len(data), link, 1700000000
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.seek(0)
                tar.addfile(info, file)
        for directory in ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "usr/bin", "var"):
            add(directory, mode=0o1777 if directory == "tmp" else 0o755)
        add("bin/busybox", tarfile.REGTYPE, 0o755, pathlib.Path(binary).read_bytes())
        for applet in subprocess.check_output([binary, "--list"], text=True).split():
            if applet != "busybox":
                add(f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")
        add("etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"
            b"nobody:x:65534:65534:nobody:/:/bin/false\n")
        add("etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\nuser:x:1000:\nextra:x:2000:user\nnogroup:x:65534:\n")
    return ["/bin/sh"]


def debian(tar_path: pathlib.Path):
    """A minimal Debian with the apt set-up of this machine, so that apt-get works in a RUN."""
    sources = [str(p) for p in [pathlib.Path("/etc/apt/sources.list"), *pathlib.Path("/etc/apt/sources.list.d").glob("debian*")]
               if p.exists()]
    hooks = [f"--customize-hook=copy-in {s} /etc/apt{'/sources.list.d' if 'list.d' in s else ''}/" for s in sources]
    hooks += [f"--customize-hook=copy-in {p} /etc/apt/apt.conf.d/" for p in pathlib.Path("/etc/apt/apt.conf.d").glob("*proxy*")]
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", *hooks, SUITE, str(tar_path)], check=True)
    return ["bash"]


def make(names, directory: pathlib.Path) -> pathlib.Path:
    """Makes missing bases; several cases may ask at once."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    with open(directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in names:
            if (directory / name / "index.json").exists():
                continue
            shutil.rmtree(directory / name, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=directory) as scratch:
                tar = pathlib.Path(scratch) / "root.tar"
                command = {"busybox": busybox, "debian": debian}[name](tar)
                layout_from_tar(tar, pathlib.Path(scratch) / name, command)
                (pathlib.Path(scratch) / name).rename(directory / name)
    return directory


def test_user():
    """An ordinary user with id ranges; made if missing."""
    name = "cbuild-test"
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
        user = pwd.getpwnam(name)
    for path, flag in (("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")):
        lines = pathlib.Path(path).read_text().splitlines() if pathlib.Path(path).exists() else []
        if not any(line.startswith(name + ":") for line in lines):
            subprocess.run(["usermod", flag, "300000-365535", name], check=True)
    return user
