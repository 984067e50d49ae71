# SPDX-License-Identifier: Apache-2.0
"""The builders of `--rows fresh`: each can have its store emptied, reaches one registry, and lives in a network namespace of its own."""
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import builders
import reference


@dataclasses.dataclass
class Job:
    """One build: of the directory `context`, to `image` (registry/name) or, with `archive`, to a file; `cache`: its name there."""
    context: pathlib.Path
    image: str
    cache: str
    build: object
    archive: pathlib.Path


class Builder:
    """`knows`: the needs of rows that it meets."""
    knows = frozenset({"store"})
    user = None

    def __init__(self, name, version, setting):
        self.name, self.version, self.setting = name, version, setting
        self.namespace = setting.net.join(len(setting.net.names))
        self.home, self.stores, self.builds = setting.scratch / name, 0, 0
        self.home.mkdir()
        self.daemon = None

    def empty(self):
        """The next builds have a store of their own. What the earlier one held stays until the row is over: removing it now would
        slow down whoever comes next."""
        self.stop()
        self.stores += 1
        self.store = self.home / f"store{self.stores}"
        self.store.mkdir()
        self.start()

    def start(self):
        pass

    def stop(self):
        if self.daemon:
            reference.stop(self.daemon)
            self.daemon = None

    def clean(self):
        """The row is over."""
        self.stop()
        for store in self.home.glob("store*"):
            shutil.rmtree(store, ignore_errors=True)

    def environment(self):
        return {**os.environ, "HOME": str(self.home)}

    def serve(self, command, ready):
        """A daemon in the namespace; its mounts are in one too, and go with it."""
        inside = ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount", "--propagation", "private"]
        with open(self.home / "daemon.log", "w") as log:
            self.daemon = subprocess.Popen([*inside, *command], stdout=log, stderr=subprocess.STDOUT, env=self.environment())
        reference.wait_for(lambda: subprocess.run(ready, env=self.environment(), capture_output=True).returncode == 0, self.name)

    def run(self, jobs, timeout):
        """What bench/measured.py says about the jobs at once, or None when one failed or was too slow."""
        work = {"commands": [self.command(job) for job in jobs], "environment": self.environment(), "namespace": self.namespace,
                "user": self.user and [self.user.pw_uid, self.user.pw_gid], "log": str(self.home / "log")}
        clear_peak(self.daemon)
        helper = subprocess.Popen([sys.executable, "-I", pathlib.Path(__file__).with_name("measured.py"), json.dumps(work)],
                                  stdout=subprocess.PIPE, start_new_session=True)
        try:
            took = json.loads(helper.communicate(timeout=timeout)[0])
        except subprocess.TimeoutExpired:
            helper.kill()  # and what it started, by PR_SET_PDEATHSIG
            helper.wait()
            return None
        if any(took["codes"]):
            print((self.home / "log").read_text(errors="replace")[-2000:], file=sys.stderr)
            return None
        took["peak_kb"] = max(took["peak_kb"], peak(self.daemon))
        return took

    def close(self):
        self.clean()


def family(process):
    """A process and what it started, by /proc."""
    found = [process.pid] if process else []
    for pid in found:
        for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found


def clear_peak(process):
    for pid in family(process):
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(process):
    """KB at most, the daemon's processes added up."""
    total = 0
    for pid in family(process):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        total += int(status.split("VmHWM:")[1].split()[0]) if "VmHWM:" in status else 0
    return total


class Cbuild(Builder):
    """On a machine that is thrown away, and says so."""
    knows = frozenset({"store", "cache", "archive"})

    def __init__(self, setting, name="cbuild"):
        super().__init__(name, builders.first_line(setting.cbuild, "--version"), setting)

    def environment(self):
        return {"CBUILD_SYNC": "none", **super().environment()}

    def command(self, job):
        out = ["--push"] if job.build.push else ["-o", f"type=oci,dest={job.archive}"] if job.build.archive else []
        out += ["-o", "type=cacheonly"] * job.build.no_image
        cache = [f"--cache-from={job.cache}"] * job.build.cache_from
        cache += [f"--cache-to=type=registry,ref={job.cache},mode=max"] * job.build.cache_to
        return [str(self.setting.cbuild), "--root", str(self.store), "--progress=plain", f"--insecure-registry={self.setting.registry}",
                "-t", job.image, *out, *cache, str(job.context)]


class CbuildUser(Cbuild):
    """The same as an ordinary user with id ranges."""

    def __init__(self, setting, user):
        super().__init__(setting, "cbuild-user")
        self.user = user
        os.chown(self.home, user.pw_uid, user.pw_gid)

    def start(self):
        os.chown(self.store, self.user.pw_uid, self.user.pw_gid)


class Buildkit(Builder):
    """A buildkitd of our own for each empty store: BUILDKITD names it and lies next to its buildctl. The time of its start is not counted."""
    knows = frozenset({"store", "cache", "archive"})

    def __init__(self, setting):
        self.binary = shutil.which(os.environ.get("BUILDKITD", "buildkitd")) or sys.exit("BUILDKITD names no program")
        self.client = shutil.which("buildctl", path=f"{os.path.dirname(self.binary)}:{os.environ['PATH']}") or sys.exit("no buildctl")
        super().__init__("buildkit", builders.first_line(self.binary, "--version"), setting)
        (self.home / "toml").write_text(f'[registry."{setting.registry}"]\nhttp = true\n')
        self.socket = f"unix://{self.home}/sock"

    def start(self):
        self.serve([self.binary, "--config", self.home / "toml", "--root", self.store, "--addr", self.socket, "--oci-worker-net=host",
                    "--containerd-worker=false"], [self.client, "--addr", self.socket, "debug", "workers"])

    def command(self, job):
        push = ["--output", f"type=image,name={job.image},push=true,registry.insecure=true"] * job.build.push
        archive = ["--output", f"type=oci,dest={job.archive}"] * job.build.archive
        cache = ["--import-cache", f"type=registry,ref={job.cache}"] * job.build.cache_from
        cache += ["--export-cache", f"type=registry,ref={job.cache},mode=max"] * job.build.cache_to
        return [self.client, "--addr", self.socket, "build", "--progress=plain", "--frontend=dockerfile.v0", f"--local=context={job.context}",
                f"--local=dockerfile={job.context}", *push, *archive, *cache]


class Docker(Builder):
    def __init__(self, setting):
        super().__init__("docker", builders.first_line("dockerd", "--version"), setting)
        self.host = f"unix://{self.home}/sock"

    def environment(self):
        return {**super().environment(), "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1"}

    def start(self):
        self.serve(["dockerd", "--data-root", self.store / "data", "--exec-root", self.store / "exec", "--pidfile", self.store / "pid",
                    "--host", self.host, "--iptables=false", "--bridge=none", "--insecure-registry", self.setting.registry],
                   ["/usr/bin/docker", "info"])

    def command(self, job):
        push = ' && exec /usr/bin/docker push "$0"' if job.build.push else ""
        return ["sh", "-c", f'/usr/bin/docker build --network=host -t "$0" "$1"{push}', job.image, str(job.context)]


class Buildah(Builder):
    knows = frozenset({"store", "archive"})

    def __init__(self, setting):
        super().__init__("buildah", builders.first_line("buildah", "--version"), setting)
        self.runtime = shutil.which("runc") or "crun"

    def command(self, job):
        flags = f'--root "{self.store}/data" --runroot "{self.store}/run"'
        push = f' && buildah {flags} push -q --tls-verify=false "$0"' if job.build.push else ""
        archive = f' && buildah {flags} push -q "$0" "oci-archive:{job.archive}"' if job.build.archive else ""
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                f'buildah {flags} bud --tls-verify=false --runtime {self.runtime} --layers --network host --jobs 2 -q -t "$0" "$1"'
                f"{push}{archive}", job.image, str(job.context)]


class Kaniko(Builder):
    """The executor that KANIKO_EXECUTOR names, in a root directory that is made for every build; it always starts from nothing, and pushes."""
    knows = frozenset({"cache"})

    def __init__(self, setting):
        self.executor = shutil.which(os.environ.get("KANIKO_EXECUTOR", "kaniko-executor")) or sys.exit("KANIKO_EXECUTOR names no program")
        super().__init__("kaniko", builders.first_line(self.executor, "version"), setting)

    def command(self, job):
        flags = ["--force", "--context", "dir:///workspace", "--insecure", "--insecure-pull"]
        flags += ["--destination", job.image] if job.build.push else ["--no-push"]
        if job.build.cache_to or job.build.cache_from:
            flags += ["--cache", "--cache-copy-layers", "--cache-repo", job.cache.rsplit(":", 1)[0]]
        self.builds += 1
        return builders.in_fresh_root(self.store / f"root-{self.builds}", self.executor, job.context, flags)


def make(name, setting):
    kinds = {"cbuild": Cbuild, "docker": Docker, "buildah": Buildah, "buildkit": Buildkit, "kaniko": Kaniko}
    if name not in kinds:
        sys.exit(f"unknown builder {name}; known: {', '.join(kinds)}")
    return kinds[name](setting)
