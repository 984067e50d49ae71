# SPDX-License-Identifier: Apache-2.0
"""The builders that the benchmark drives. Each one has its own state in a scratch directory and knows the image `base`."""
import contextlib
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "testdata" / "e2e"))
import reference  # noqa: E402


def make_base(scratch: pathlib.Path) -> dict:
    """A busybox root file system as an OCI layout and as a docker archive."""
    busybox = shutil.which("busybox") or sys.exit("install busybox-static")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        def add(name, kind=tarfile.DIRTYPE, mode=0o755, data=b"", link=""):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size, info.linkname = kind, mode, len(data), link
            tar.addfile(info, io.BytesIO(data))
        for directory in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "usr/bin"):
            add(directory, mode=0o1777 if directory == "tmp" else 0o755)
        add("bin/busybox", tarfile.REGTYPE, 0o755, pathlib.Path(busybox).read_bytes())
        for applet in subprocess.check_output([busybox, "--list"], text=True).split():
            if applet != "busybox":
                add(f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")
        add("etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0:root:/root:/bin/sh\n")
        add("etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\n")
    data = layer.getvalue()
    diff_id = "sha256:" + hashlib.sha256(data).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
                         "rootfs": {"type": "layers", "diff_ids": [diff_id]}, "history": [{"created_by": "base"}]}).encode()
    layout = scratch / "base-oci"
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content, kind):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(content)}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(config, "application/vnd.oci.image.config.v1+json"),
                "layers": [blob(data, "application/vnd.oci.image.layer.v1.tar")]}
    top = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    top["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    archive = scratch / "base-docker.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in (("config.json", config), ("layer.tar", data),
                              ("manifest.json", json.dumps([{"Config": "config.json", "RepoTags": ["base:latest"],
                                                             "Layers": ["layer.tar"]}]).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return {"layout": layout, "archive": archive, "digest": top["digest"]}


class Builder:
    """build() returns whether the image was built in time."""

    def __init__(self, name, version):
        self.name, self.version = name, version

    def command(self, context, row):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def build(self, context, row, timeout):
        try:
            done = subprocess.run(self.command(context, row), env=self.environment(), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=timeout, text=True)
        except subprocess.TimeoutExpired:
            return False
        if done.returncode != 0:
            print(done.stderr[-2000:], file=sys.stderr)
        return done.returncode == 0

    def close(self):
        pass


def first_line(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().split("\n")[0]


class Cbuild(Builder):
    def __init__(self, scratch, base, options):
        super().__init__("cbuild", first_line(options.cbuild, "--version"))
        self.binary, self.base, self.root = options.cbuild, base, scratch / "cbuild"

    def command(self, context, row):
        return [self.binary, "--root", str(self.root), "--progress", "plain", "-t", f"bench-{row.name.lower()}",
                "--build-context", f"base=oci-layout://{self.base['layout']}", str(context)]


class Docker(Builder):
    """dockerd of docker.io with BuildKit, started here with a data root and socket of its own, unless DOCKER_HOST names one."""

    def __init__(self, scratch, base, options):
        super().__init__("docker", first_line("dockerd", "--version"))
        self.daemon, self.host = None, os.environ.get("DOCKER_HOST", "")
        if not self.host:
            root = scratch / "docker"
            self.host = f"unix://{root}/docker.sock"
            root.mkdir()
            self.daemon = subprocess.Popen(
                ["dockerd", "--data-root", root / "data", "--exec-root", root / "exec", "--pidfile", root / "pid", "--host",
                 self.host, "--iptables=false", "--bridge=none", "--containerd-namespace", "bench",
                 "--containerd-plugins-namespace", "bench-plugins"],
                stdout=open(root / "log", "w"), stderr=subprocess.STDOUT)
            for _ in range(300):
                if subprocess.run(["/usr/bin/docker", "info"], env=self.environment(), capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
        subprocess.run(["/usr/bin/docker", "load", "-q", "-i", base["archive"]], env=self.environment(), check=True,
                       stdout=subprocess.DEVNULL)

    def environment(self):
        return {**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1"}

    def command(self, context, row):
        return ["/usr/bin/docker", "build", "--network=host", "-t", f"bench-{row.name.lower()}", str(context)]

    def close(self):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait()


class Buildah(Builder):
    def __init__(self, scratch, base, options):
        super().__init__("buildah", first_line("buildah", "--version"))
        self.global_flags = ["buildah", "--root", str(scratch / "buildah"), "--runroot", str(scratch / "buildah-run")]
        # crun refuses machines with both cgroup hierarchies, runc takes them.
        self.runtime = shutil.which("runc") or "crun"
        subprocess.run([*self.global_flags, "pull", "-q", f"docker-archive:{base['archive']}"], check=True,
                       stdout=subprocess.DEVNULL)

    def command(self, context, row):
        return [*self.global_flags, "bud", "--runtime", self.runtime, "--layers", "--network", "host", "--jobs", "2", "--pull-never",
                "-q", "-t", f"bench-{row.name.lower()}", str(context)]

    def close(self):
        subprocess.run([*self.global_flags, "rm", "-a"], capture_output=True)
        subprocess.run([*self.global_flags, "rmi", "-af"], capture_output=True)


class Buildkit(Builder):
    """A buildkitd that already runs; BUILDKIT_HOST names its socket. The result is an OCI archive that is thrown away."""

    def __init__(self, scratch, base, options):
        super().__init__("buildkit", first_line("buildctl", "--version"))
        self.base, self.out = base, scratch / "buildkit.tar"

    def command(self, context, row):
        return ["buildctl", "build", "--frontend", "dockerfile.v0", "--local", f"context={context}", "--local",
                f"dockerfile={context}", "--oci-layout", f"base={self.base['layout']}", "--opt",
                f"context:base=oci-layout://base@{self.base['digest']}", "--output", f"type=oci,dest={self.out}"]


def in_fresh_root(root, executor, context, flags):
    """The command that runs kaniko's executor in a root directory of its own, with the context as /workspace."""
    script = ("set -e; mkdir $0; cd $0; mkdir -p kaniko proc dev workspace etc tmp; cp $1 kaniko/executor; "
              "mount -t proc proc proc; mount -t tmpfs tmpfs dev; cp -a /dev/null /dev/zero /dev/random /dev/urandom dev; "
              "mount --bind -o ro $2 workspace; cp /etc/resolv.conf etc; shift 2; exec chroot . /kaniko/executor \"$@\"")
    return ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, str(root), str(executor), str(context), *flags]


class Kaniko(Builder):
    """The executor that KANIKO_EXECUTOR names, in a root directory that is new for every build, as a CI job has it. Its base, its
    cache and its images are in a registry on the loopback."""

    def __init__(self, scratch, base, options):
        self.executor = shutil.which(os.environ.get("KANIKO_EXECUTOR", "kaniko-executor")) or sys.exit("KANIKO_EXECUTOR names no program")
        super().__init__("kaniko", first_line(self.executor, "version"))
        self.scratch, self.builds = scratch / "kaniko", 0
        self.scratch.mkdir()
        with contextlib.ExitStack() as stack:
            self.registry = stack.enter_context(reference.registry(self.scratch))
            self.push_base(options.cbuild, base)
            self.server = stack.pop_all()

    def push_base(self, cbuild, base):
        context = self.scratch / "base"
        context.mkdir()
        (context / "Dockerfile").write_text("FROM base\n")
        done = subprocess.run([cbuild, "--root", self.scratch / "store", "--build-context", f"base=oci-layout://{base['layout']}",
                               "-t", f"{self.registry}/library/base", "--push", context], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)

    def command(self, context, row):
        self.builds += 1
        flags = ["--force", "--context", "dir:///workspace", "--destination", f"{self.registry}/bench-{row.name.lower()}",
                 "--registry-mirror", self.registry, "--skip-default-registry-fallback", "--cache", "--cache-copy-layers",
                 "--cache-repo", f"{self.registry}/cache"]
        return in_fresh_root(self.scratch / f"root-{self.builds}", self.executor, context, flags)

    def close(self):
        self.server.close()


def make(name, scratch, base, options):
    kinds = {"cbuild": Cbuild, "docker": Docker, "buildah": Buildah, "buildkit": Buildkit, "kaniko": Kaniko}
    if name not in kinds:
        sys.exit(f"unknown builder {name}; known: {', '.join(kinds)}")
    return kinds[name](scratch, base, options)
