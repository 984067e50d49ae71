#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments of a build, again and again on one store.

    kills.py CBUILD [--kills 1000] [--check-every 5]

Every kill hits a build that has steps to run (its context is new). Builds whose process group dies, builds of which only the main process dies, and
builds that die together with the process that holds their sandboxes take turns. After each --check-every kills the same context is built to its end:
it must succeed without a word of repair, give the result of an undisturbed build, and leave no mount or process; temporary files and logs of the dead
are gone after gc, their control groups and session keyrings after the next build.
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import rig
import support
from support import check


def children_of(pid):
    """A process that has ended meanwhile has none."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def end_group(pid):
    os.killpg(pid, signal.SIGKILL)


def end_builder(pid):
    os.kill(pid, signal.SIGKILL)


def end_zygote(pid):
    """The process that cleans up after a dead builder dies first."""
    for child in children_of(pid):
        os.kill(child, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)


DEATHS = (end_group, end_builder, end_zygote)


def kill_once(the, store, delay, death, group):
    """False if the build was faster."""
    process = the.start(store, start_new_session=True, stderr=subprocess.DEVNULL, preexec_fn=group.enter)
    time.sleep(delay)
    hit = process.poll() is None
    try:
        death(process.pid)
    except ProcessLookupError:
        pass
    process.wait()
    return hit


def measure(the, store):
    the.set_stamp("STAMP-MEASURED")
    begin = time.monotonic()
    code, text = the.run(store)
    check(code == 0, text)
    return time.monotonic() - begin


def count_keyrings():
    """Session keyrings of the machine; those that steps join have no name of their own."""
    keys = pathlib.Path("/proc/keys")
    return sum(1 for line in keys.read_text().splitlines() if " _ses" in line) if keys.exists() else 0


def disk_entries(store):
    return {name: len(os.listdir(store / name)) for name in ("snapshots", "mounts", "leases", "tmp") if (store / name).is_dir()}


def sweep(the, store):
    """A build that found everything cached writes nothing and cleans nothing; leftovers of the dead are then gc's, which keeps the cache here."""
    code, text = the.run(store, argv=[str(the.cbuild), "prune", "--force", "--until", "1000h"])
    check(code == 0, text)


def check_logs(the, store):
    """Only builds that ended have logs."""
    code, text = the.run(store, argv=[str(the.cbuild), "history", "ls", "--json"])
    check(code == 0, text)
    known = {build["id"] for build in json.loads(text)}
    logs = store / "logs"
    unknown = set(os.listdir(logs)) - known if logs.is_dir() else set()
    check(not unknown, f"logs of killed builds: {unknown}")


def check_groups(the, store, group):
    """The build that was checked may have found all steps in the cache; one that runs a step removes the groups of the dead."""
    the.set_stamp(f"STAMP-GROUPS-{time.monotonic_ns()}")
    code, text = the.run(store, preexec_fn=group.enter)
    check(code == 0, text)
    check(not group.left(), f"control groups left: {group.left()}")


def run(the, options):
    group = rig.ControlGroup()
    print(f"control groups are {'below ' + ', '.join(map(str, group.directories)) if group.directories else 'not looked at: none can be made'}")
    try:
        kill_all(the, options, group)
    finally:
        group.remove()


def kill_all(the, options, group):
    rng = random.Random(options.seed)
    store = the.store("store")
    span = measure(the, store)
    killed = missed = checks = 0
    keyrings = count_keyrings()
    while killed < options.kills:
        stamp = f"STAMP-{rng.randrange(10 ** 8):08}"
        the.set_stamp(stamp)
        if not kill_once(the, store, rng.uniform(0, span), DEATHS[killed % len(DEATHS)], group):
            missed += 1
            check(missed < 10 * options.kills, "the builds are faster than the kills")
            span *= 0.95  # the machine is quicker than it was
            continue
        span *= 1.01
        killed += 1
        if killed % options.check_every and killed != options.kills:
            continue
        rig.wait_for_death(store)
        the.check_result(store, stamp, preexec_fn=group.enter)
        checks += 1
        check("put aside" not in the.last_text and "the steps that made it are run" not in the.last_text, f"a kill damaged the store:\n{the.last_text}")
        sweep(the, store)
        the.check_nothing_left(store)
        check_groups(the, store, group)
        check_logs(the, store)
    check(count_keyrings() - keyrings < max(20, killed // 4), f"{count_keyrings()} session keyrings, {keyrings} before {killed} kills")
    print(f"{killed} kills within {span * 1000:.0f} ms (and {missed} that came too late), {checks} checked builds; left {disk_entries(store)}")


if __name__ == "__main__":
    parser = rig.arguments(__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--check-every", type=int, default=5)
    arguments = parser.parse_args()
    sys.exit(rig.main("kills", arguments, run))
