# SPDX-License-Identifier: Apache-2.0
"""A registry in a network namespace and a cable from it to each builder, as fast as the machine or as slow as asked."""
import contextlib
import pathlib
import re
import subprocess
import sys

import builders  # knows where the next ones are  # noqa: F401
import fleet
import reference


def parse_link(text):
    """(round trip in ms, Mbit/s) of "20ms/1gbit", or None of ""."""
    if not text:
        return None
    found = re.fullmatch(r"(\d+)ms/(\d+)(m|g)bit", text) or sys.exit(f"invalid link {text!r}: as in 20ms/1gbit")
    return int(found[1]), int(found[2]) * (1000 if found[3] == "g" else 1)


class Network(fleet.Network):
    """The hub of testdata/e2e/fleet.py, with cables that may be shaped: by netem, or by a process where the kernel has none."""

    def __init__(self, link):
        super().__init__()
        self.link, self.relays = link, []

    def join(self, number):
        if self.link and not self.has_netem():
            return self.join_by_relay(number)
        name = super().join(number)
        for namespace, interface in ((name, "eth0"), (self.hub, f"p{number}")):
            if self.link:
                self.shape(namespace, interface)
        return name

    def shape(self, namespace, interface):
        fleet.ip("netns", "exec", namespace, "tc", "qdisc", "add", "dev", interface, "root", "netem", "limit", "100000",
                 "delay", f"{self.link[0] / 2}ms", "rate", f"{self.link[1]}mbit")

    def has_netem(self):
        try:
            self.shape(self.hub, "lo")
        except subprocess.CalledProcessError:
            return False
        fleet.ip("netns", "exec", self.hub, "tc", "qdisc", "del", "dev", "lo", "root")
        return True

    def join_by_relay(self, number):
        name, port = f"{self.prefix}n{number}", f"p{number}"
        self.add_namespace(name)
        relay = subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name("relay.py"), self.hub, port, name, "eth0",
                                  str(self.link[0] / 2), str(self.link[1])], stdout=subprocess.PIPE)
        self.relays.append(relay)
        if relay.stdout.readline() != b"ready\n":
            sys.exit("the relay did not start")
        fleet.ip("-n", self.hub, "link", "set", port, "master", "hub", "up")
        fleet.ip("-n", name, "addr", "add", f"10.231.77.{number + 10}/24", "dev", "eth0")
        fleet.ip("-n", name, "link", "set", "eth0", "up")
        return name

    def close(self):
        for relay in self.relays:
            reference.stop(relay)
        super().close()


@contextlib.contextmanager
def network(link):
    net = Network(parse_link(link))
    try:
        net.open()
        yield net
    finally:
        net.close()
