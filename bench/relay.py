#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A cable between two network namespaces that is as slow as asked, for kernels without netem.

    relay.py NAMESPACE INTERFACE NAMESPACE INTERFACE DELAY_MS MBIT

Makes a tap interface in each, prints "ready" and carries frames until it is ended, which removes both. Segmentation is left to the
receiver (64 KB a frame), so that one process carries a gigabit. A frame leaves when the cable is free and arrives DELAY_MS later.
"""
import collections
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
TAP_WITH_OFFLOADS = 0x0002 | 0x1000 | 0x4000  # IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
CHECKSUM_AND_TSO = 0x01 | 0x02 | 0x04
LONGEST, MOST_QUEUED = 70000, 2000


def enter(namespace):
    with open(f"/run/netns/{namespace}") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000) != 0:
            sys.exit(f"setns {namespace}: {os.strerror(ctypes.get_errno())}")


def tap(namespace, interface):
    enter(namespace)
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", interface.encode(), TAP_WITH_OFFLOADS))
    fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", 12))
    fcntl.ioctl(fd, TUNSETOFFLOAD, CHECKSUM_AND_TSO)
    return fd


class Direction:
    def __init__(self, source, target, delay, byte_seconds):
        self.source, self.target, self.delay, self.byte_seconds = source, target, delay, byte_seconds
        self.queue, self.free = collections.deque(), 0.0

    def take(self):
        """Reads what waits at the source."""
        while len(self.queue) < MOST_QUEUED:
            try:
                frame = os.read(self.source, LONGEST)
            except BlockingIOError:
                return
            self.free = max(time.monotonic(), self.free) + len(frame) * self.byte_seconds
            self.queue.append((self.free + self.delay, frame))

    def deliver(self):
        """Writes what has arrived; when the next frame does, or None."""
        while self.queue and self.queue[0][0] <= time.monotonic():
            try:
                os.write(self.target, self.queue.popleft()[1])
            except OSError:
                pass  # the interface is down, or full: a lost frame
        return self.queue[0][0] if self.queue else None


def main():
    taps = [tap(*sys.argv[1:3]), tap(*sys.argv[3:5])]
    delay, byte_seconds = float(sys.argv[5]) / 1000, 8e-6 / float(sys.argv[6])
    directions = [Direction(a, b, delay, byte_seconds) for a, b in (taps, taps[::-1])]
    print("ready", flush=True)
    while True:
        due = [at for at in (d.deliver() for d in directions) if at is not None]
        wanted = [d.source for d in directions if len(d.queue) < MOST_QUEUED]
        ready, _, _ = select.select(wanted, [], [], max(min(due) - time.monotonic(), 0) if due else None)
        for direction in directions:
            if direction.source in ready:
                direction.take()


if __name__ == "__main__":
    main()
