# SPDX-License-Identifier: Apache-2.0
"""memory.py CBUILD ARGUMENT...: builds with every kind of progress without the cache; none may take more than 100 MB of memory for any output."""
import os
import pty
import resource
import subprocess
import sys
import threading


def drain(fd):
    try:
        while os.read(fd, 1 << 16):
            pass
    except OSError:
        pass  # the other end of the terminal is closed


for mode in ("quiet", "plain", "tty", "rawjson"):
    master, slave = pty.openpty()
    reader = threading.Thread(target=drain, args=(master,))
    reader.start()
    done = subprocess.run([sys.argv[1], "--no-cache", "--progress", mode, *sys.argv[2:]], stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    reader.join()
    os.close(master)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    print(f"{mode}: exit code {done.returncode}, at most {most} MB so far")
    assert most < 100
