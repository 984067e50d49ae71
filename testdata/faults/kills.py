#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments of a build, again and again on one store.

    kills.py CBUILD [--kills 1000] [--check-every 5]

Every kill hits a build that has steps to run (its context is new). Builds whose process group dies and builds of which only the main process dies
take turns. After each --check-every kills the same context is built to its end: it must succeed without a word of repair, give what an undisturbed
build gives, and leave no mount or process; temporary files of the dead are gone after gc.
"""
import os
import random
import signal
import subprocess
import sys
import time

import rig
import support
from support import check


def kill_once(the, store, delay, whole_group):
    """False if the build was faster."""
    process = the.start(store, start_new_session=True, stderr=subprocess.DEVNULL)
    time.sleep(delay)
    hit = process.poll() is None
    try:
        if whole_group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except ProcessLookupError:
        pass
    process.wait()
    return hit


def wait_for_death(store):
    """Children of a killed builder die with it, but the kernel takes its time."""
    deadline = time.monotonic() + 10
    while support.processes_of(store):
        check(time.monotonic() < deadline, f"processes outlive their builder: {support.processes_of(store)}")
        time.sleep(0.005)


def measure(the, store):
    the.set_stamp("STAMP-MEASURED")
    begin = time.monotonic()
    code, text = the.run(store)
    check(code == 0, text)
    return time.monotonic() - begin


def disk_entries(store):
    return {name: len(os.listdir(store / name)) for name in ("snapshots", "mounts", "leases", "tmp") if (store / name).is_dir()}


def sweep(the, store):
    """A build that found everything cached writes nothing and cleans nothing; what the dead left is then gc's, which keeps the cache here."""
    code, text = the.run(store, argv=[str(the.cbuild), "prune", "--force", "--until", "1000h"])
    check(code == 0, text)


def run(the, options):
    rng = random.Random(options.seed)
    store = the.store("store")
    span = measure(the, store)
    killed = missed = checks = 0
    while killed < options.kills:
        stamp = f"STAMP-{rng.randrange(10 ** 8):08}"
        the.set_stamp(stamp)
        if not kill_once(the, store, rng.uniform(0, span), killed % 2 == 0):
            missed += 1
            check(missed < 10 * options.kills, "the builds are faster than the kills")
            span *= 0.95  # the machine is quicker than it was
            continue
        span *= 1.01
        killed += 1
        if killed % options.check_every and killed != options.kills:
            continue
        wait_for_death(store)
        the.check_result(store, stamp)
        checks += 1
        check("put aside" not in the.last_text and "the steps that made it are run" not in the.last_text, f"a kill damaged the store:\n{the.last_text}")
        sweep(the, store)
        the.check_nothing_left(store)
    print(f"{killed} kills within {span * 1000:.0f} ms (and {missed} that came too late), {checks} checked builds; left {disk_entries(store)}")


if __name__ == "__main__":
    parser = rig.arguments(__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--check-every", type=int, default=5)
    arguments = parser.parse_args()
    sys.exit(rig.main("kills", arguments, run))
