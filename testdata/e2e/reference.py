# SPDX-License-Identifier: Apache-2.0
"""Foreign builders and a registry for the end-to-end cases, each with state of its own below a work directory."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(ready, what, seconds=60):
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not come up")
        time.sleep(0.05)


def stop(process):
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def listens(process, port):
    """Whether the socket that listens at the port is the process's own, and not one of another that was faster."""
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{words[9]}]" for words in lines if words[3] == "0A" and words[1].endswith(f":{port:04X}")}
    for descriptor in pathlib.Path(f"/proc/{process.pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            if os.readlink(descriptor) in sockets:
                return True
    return False


@contextlib.contextmanager
def registry(work: pathlib.Path, account=None):
    """docker-registry on a free loopback port; yields host:port. Another process may take the port first, then it is started again.
    It takes anybody, or only `account` ("user:password")."""
    config = work / "registry.yml"
    auth = ""
    if account:
        (work / "htpasswd").write_bytes(subprocess.run(["htpasswd", "-bnB", *account.split(":")], check=True, capture_output=True).stdout)
        auth = f"auth: {{htpasswd: {{realm: tests, path: {work}/htpasswd}}}}\n"
    for _ in range(5):
        port = free_port()
        config.write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {work}/registry}}}}\n"
                          f"http: {{addr: 127.0.0.1:{port}}}\n{auth}")
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: process.poll() is not None or listens(process, port), "docker-registry")
            if process.poll() is None:
                yield f"127.0.0.1:{port}"
                return
        finally:
            stop(process)
    raise RuntimeError("docker-registry did not start")


@contextlib.contextmanager
def dockerd(work: pathlib.Path):
    """dockerd of docker.io with BuildKit; yields the environment for its client."""
    root = work / "docker"
    root.mkdir()
    host = f"unix://{root}/sock"
    env = {**os.environ, "DOCKER_HOST": host, "DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": str(root / "config")}
    (root / "daemon.json").write_text("{}")
    process = subprocess.Popen(
        ["/usr/sbin/dockerd", "--data-root", root / "data", "--exec-root", root / "exec", "--pidfile", root / "pid", "--host", host,
         "--storage-driver", "overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs", "--iptables=false", "--ip6tables=false",
         "--ip-forward=false", "--ip-masq=false", "--bridge=none", "--config-file", root / "daemon.json"],
        stdout=open(root / "log", "w"), stderr=subprocess.STDOUT, env=env)
    try:
        wait_for(lambda: subprocess.run(["/usr/bin/docker", "info"], env=env, capture_output=True).returncode == 0, "dockerd")
        yield env
    finally:
        stop(process)
        for mount in ("exec/netns/default", "data"):  # the latter stays if the daemon has crashed
            subprocess.run(["umount", root / mount], capture_output=True)
        subprocess.run("find /sys/fs/cgroup -mindepth 2 -depth -type d -path '/sys/fs/cgroup/*/docker*' -exec rmdir {} +", shell=True,
                       capture_output=True)


@contextlib.contextmanager
def podman_service(work: pathlib.Path):
    """`podman system service` on storage of its own; yields the socket."""
    root = work / "podman"
    root.mkdir()
    run = pathlib.Path(tempfile.mkdtemp(dir="/tmp", prefix="podman-"))  # it takes no path of more than 50 characters
    process = subprocess.Popen(
        ["podman", "--root", root / "root", "--runroot", run, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
         "system", "service", "--time", "0", f"unix://{root}/sock"], stdout=open(root / "log", "w"), stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: (root / "sock").exists(), "podman system service")
        yield root / "sock"
    finally:
        stop(process)
        for line in reversed(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()):
            if line.split()[4].startswith((f"{root}/", f"{run}/")):
                subprocess.run(["umount", line.split()[4]], capture_output=True)
        shutil.rmtree(run, ignore_errors=True)


def docker_config(context: pathlib.Path, base: pathlib.Path, work: pathlib.Path):
    """Config of the image that Docker's BuildKit makes of a context whose base is the argument BASE."""
    archive = work / "base.tar"
    subprocess.run(["skopeo", "copy", "-q", f"oci:{base}:latest", f"docker-archive:{archive}:base:latest"], check=True)
    with dockerd(work) as env:
        subprocess.run(["/usr/bin/docker", "load", "-q", "-i", archive], env=env, check=True, capture_output=True)
        done = subprocess.run(["/usr/bin/docker", "build", "--progress=plain", "--network=host", "-t", "reference", context], env=env,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"docker build failed:\n{done.stderr}")
        inspected = subprocess.run(["/usr/bin/docker", "save", "reference"], env=env, check=True, capture_output=True).stdout
    saved = work / "saved"
    saved.mkdir()
    subprocess.run(["tar", "-x", "-C", saved], input=inspected, check=True)
    manifest = json.loads((saved / "manifest.json").read_text())
    return json.loads((saved / manifest[0]["Config"]).read_text())


def buildah_config(context: pathlib.Path, base: pathlib.Path, work: pathlib.Path):
    """The same for buildah, in Docker's image format so that no field is lost."""
    flags = ["buildah", "--root", str(work / "buildah"), "--runroot", str(work / "buildah-run")]
    subprocess.run([*flags, "pull", "-q", f"oci:{base}:latest"], check=True, capture_output=True)
    image = subprocess.run([*flags, "images", "-q"], check=True, capture_output=True, text=True).stdout.split()[0]
    subprocess.run([*flags, "tag", image, "localhost/base:latest"], check=True, capture_output=True)
    try:
        # Later ones than 1.28 raise the limits of a step, which not every machine allows.
        done = subprocess.run([*flags, "bud", "--format", "docker", "--isolation", "chroot", "--network", "host", "--pull-never",
                               "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "-t", "reference", str(context)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"buildah failed:\n{done.stderr}")
        inspected = json.loads(subprocess.run([*flags, "inspect", "--type", "image", "reference"], check=True, capture_output=True,
                                              text=True).stdout)
    finally:
        subprocess.run([*flags, "rmi", "-af"], capture_output=True)
    return inspected["Docker"]
