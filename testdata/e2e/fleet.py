#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fleet of builders that share nothing but a registry.

    fleet.py CBUILD CASE_DIR WORK_DIR

Each builder has an empty store and a network namespace of its own, joined by a veth pair to a hub where docker-registry runs;
without namespaces all use the loopback. A step that one has built must not run on the others. Prints time and bytes for each
build: the bytes are those that crossed the builder's own link.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import reference

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import support  # noqa: E402

PORT = 5000


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """The hub and the links to it; removed with everything in it at the end."""

    def __init__(self):
        self.prefix = f"cbf{os.getpid()}"
        self.names = []

    def add_namespace(self, name):
        ip("netns", "add", name)
        self.names.append(name)
        ip("-n", name, "link", "set", "lo", "up")

    def open(self):
        self.hub = self.prefix + "hub"
        self.add_namespace(self.hub)
        ip("-n", self.hub, "link", "add", "hub", "type", "bridge")
        ip("-n", self.hub, "addr", "add", "10.231.77.1/24", "dev", "hub")
        ip("-n", self.hub, "link", "set", "hub", "up")

    def join(self, number):
        name, port = f"{self.prefix}n{number}", f"p{number}"
        self.add_namespace(name)
        ip("-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("-n", self.hub, "link", "set", port, "master", "hub", "up")
        ip("-n", name, "addr", "add", f"10.231.77.{number + 10}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        return name

    def traffic(self, name):
        """Bytes received and sent by a builder."""
        links = json.loads(subprocess.check_output(["ip", "-n", name, "-s", "-j", "link", "show", "eth0"]))
        return links[0]["stats64"]["rx"]["bytes"], links[0]["stats64"]["tx"]["bytes"]

    def close(self):
        for name in self.names[::-1]:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


class Loopback:
    """For machines without namespaces: no isolation of the network, and no counters."""

    def join(self, number):
        return None

    def traffic(self, name):
        return 0, 0

    def close(self):
        pass


@contextlib.contextmanager
def network():
    net = Network()
    try:
        net.open()
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        print(f"no network namespaces ({error}): all builders on the loopback")
        net.close()
        net = Loopback()
    try:
        yield net
    finally:
        net.close()


@contextlib.contextmanager
def registry(net, work):
    if isinstance(net, Loopback):
        with reference.registry(work) as address:
            yield address
        return
    config = work / "registry.yml"
    config.write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {work}/registry}}}}\n"
                      f"http: {{addr: 10.231.77.1:{PORT}}}\n")
    inside = ["ip", "netns", "exec", net.hub]
    process = subprocess.Popen([*inside, "docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    probe = [*inside, "bash", "-c", f"exec 3<>/dev/tcp/10.231.77.1/{PORT}"]
    try:
        reference.wait_for(lambda: subprocess.run(probe, capture_output=True).returncode == 0, "docker-registry")
        yield f"10.231.77.1:{PORT}"
    finally:
        reference.stop(process)


class Builder:
    def __init__(self, fleet, number):
        self.fleet, self.number = fleet, number
        self.store = fleet.work / f"store{number}"
        self.context = fleet.work / f"context{number}"
        shutil.copytree(fleet.case, self.context)
        self.namespace = fleet.net.join(number)

    def start(self, *flags):
        argv = [str(self.fleet.cbuild), "--progress", "plain", "--insecure-registry", self.fleet.address, "--build-context",
                f"base=oci-layout://{self.fleet.bases}/busybox", *flags, "."]
        if self.namespace:
            argv = ["ip", "netns", "exec", self.namespace, *argv]
        self.began, self.before = time.monotonic(), self.fleet.net.traffic(self.namespace)
        self.process = subprocess.Popen(argv, cwd=self.context, env={**os.environ, "CBUILD_ROOT": str(self.store)},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def finish(self, title, ran):
        """`ran`: parts of the names of exactly the steps that must have run; None: not looked at."""
        _, text = self.process.communicate(timeout=600)
        seconds = time.monotonic() - self.began
        received, sent = (b - a for a, b in zip(self.before, self.fleet.net.traffic(self.namespace)))
        if self.process.returncode != 0:
            raise RuntimeError(f"{title}: exit code {self.process.returncode}\n{text}")
        have, _ = support.steps(text)
        print(f"{title:<46} {seconds:6.2f} s  received {received / 1e6:7.2f} MB  sent {sent / 1e6:7.2f} MB  ran {len(have)} steps")
        matched = ran is None or (len(have) == len(ran) and all(any(want in step for step in have) for want in ran))
        if not matched:
            raise RuntimeError(f"{title}: ran {have}, expected {ran}\n{text}")
        return seconds, received

    def build(self, title, ran, *flags):
        self.start(*flags)
        return self.finish(title, ran)


class Fleet:
    def __init__(self, cbuild, case, work, net, address):
        self.cbuild, self.case, self.work, self.net, self.address = cbuild, case, work, net, address
        self.bases = support.make_bases(["busybox"])
        self.count = 0

    def builder(self):
        self.count += 1
        return Builder(self, self.count)

    def run(self):
        ref = f"{self.address}/team/cache:main"
        share = ["--cache-from", ref, "--cache-to", f"type=registry,ref={ref},mode=max"]
        cold, _ = self.builder().build("1 cold, nobody has built yet", None, *share)
        warm, received = self.builder().build("2 fresh machine, shared cache", [], *share)
        pushes = ["-t", f"{self.address}/team/app:1", "--push"]
        self.builder().build("3 fresh machine, shared cache, pushes the image", [], *share, *pushes)
        edited = self.builder()
        (edited.context / "app.txt").write_text("an edited application\n")
        edited.build("4 fresh machine, one file edited", ["COPY app.txt", "RUN app"], *share)
        self.builder().build("5 fresh machine, another target", ["RUN test"], *share, "--target", "test")
        # The results of 4 and 5 are there for all, though both wrote to the one tag.
        pair = [self.builder(), self.builder(), self.builder()]
        (pair[0].context / "app.txt").write_text("an edited application\n")
        pair[0].start("--cache-from", ref)
        pair[1].start("--cache-from", ref, "--target", "test")
        pair[2].start("--cache-from", ref, "-o", f"type=tar,dest={self.work}/image.tar")
        pair[0].finish("6 at the same time: the edit of 4", [])
        pair[1].finish("7 at the same time: the target of 5", [])
        pair[2].finish("8 at the same time: the files of the image", [])
        if not isinstance(self.net, Loopback) and received > 1_000_000:
            raise RuntimeError(f"a cached build received {received} bytes: layers that nobody needed were fetched")
        print(f"shared cache against cold: {warm:.2f} s against {cold:.2f} s")


def main():
    cbuild, case, work_root = (pathlib.Path(p).resolve() for p in sys.argv[1:4])
    work_root.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="fleet-", dir=work_root))
    try:
        with network() as net, registry(net, work) as address:
            Fleet(cbuild, case, work, net, address).run()
    except RuntimeError as error:
        print(f"fleet: {error}")
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
