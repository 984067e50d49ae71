#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stores that were cut off, flipped, emptied or that belong to another boot.

    damage.py CBUILD [--flips 200]

A store is filled once; each case takes a copy, harms it, and builds twice: the same inputs and, after an edit, new ones. Both builds
must succeed and give the result of an undisturbed build: damaged data is a miss, never a result and never a refusal.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys

import rig
import support
from support import check


def flip(path, rng, count=1):
    size = path.stat().st_size
    if size == 0:
        return
    with open(path, "r+b") as file:
        for _ in range(count):
            at = rng.randrange(size)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << rng.randrange(8))]))


def truncate(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


def checkpoint(store):
    with contextlib.closing(sqlite3.connect(store / "index.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def reboot(store):
    """As if the machine had been started since: the index and the trees were written by another boot."""
    other = b"00000000-0000-0000-0000-000000000000"
    with contextlib.closing(sqlite3.connect(store / "index.db")) as db:
        db.execute("UPDATE meta SET boot = ?", (other,))
        db.commit()
    this_boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    for meta in [*store.glob("snapshots/*/meta"), *store.glob("snapshots/*/synced")]:
        meta.write_bytes(meta.read_bytes().replace(this_boot, other))


def lose_unsynced(store):
    """Nothing of the store was synced: sizes survived, data did not."""
    for path in [*store.glob("snapshots/*/fs/**/*"), *store.glob("snapshots/*/archive"), *store.glob("snapshots/*/image"),
                 *store.glob("snapshots/*/contents.*"), *store.glob("snapshots/*/places"), *store.glob("blobs/sha256/*")]:
        if path.is_file() and not path.is_symlink():
            path.write_bytes(b"\0" * path.stat().st_size)


def lose_unsynced_of(store):
    """The same for what the store itself has marked so."""
    with contextlib.closing(sqlite3.connect(store / "index.db")) as db:
        names = {row[0].hex() for row in db.execute("SELECT id FROM volatile")}
    for path in [*store.glob("snapshots/*/fs/**/*"), *store.glob("blobs/sha256/*")]:
        if path.is_file() and not path.is_symlink() and names & set(path.parts):
            path.write_bytes(b"\0" * path.stat().st_size)


def replace(store, other):
    shutil.rmtree(store)
    subprocess.run(["cp", "-a", "--reflink=auto", other, store], check=True)


def fill_unsynced(the, store):
    """A store whose only build was killed when all its steps but an endless one were done: no sync was ever made, and the files
    that are not on disk are those that cbuild itself has marked so."""
    dockerfile = the.context / "Dockerfile"
    whole = dockerfile.read_text()
    dockerfile.write_text(whole + "\nFROM base AS endless\nCOPY --from=made /out /out\nCOPY --from=made /more /more\n"
                          "COPY --from=tools /work/all /all\nRUN echo waiting; sleep 1000\n")
    with subprocess.Popen(the.argv("-o", f"type=oci,dest={store}.tar"), env=the.environment(store), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True) as build:
        for line in build.stderr:
            if line.endswith(" waiting\n"):
                break
        build.kill()
    dockerfile.write_text(whole)
    rig.wait_for_death(store)
    with contextlib.closing(sqlite3.connect(store / "index.db")) as db:
        kinds = dict(db.execute("SELECT kind, count(*) FROM volatile GROUP BY kind"))
    check(kinds.get(1, 0) >= 5, f"unsynced layers and blobs: {kinds}")


def set_version(store, version, change=""):
    with contextlib.closing(sqlite3.connect(store / "index.db")) as db:
        db.executescript(f"{change}; PRAGMA user_version={version};")


def index_cases(options):
    rng = random.Random(options.seed)
    for i in range(16):
        yield f"index.db cut at {i}/16", lambda s, i=i: truncate(s / "index.db", (s / "index.db").stat().st_size * i // 16)
    for i in range(options.flips):
        seed, count = rng.random(), 1 if i % 2 else 1 + i // 4
        yield f"index.db: {count} flips, round {i}", lambda s, seed=seed, count=count: (checkpoint(s), flip(s / "index.db", random.Random(seed), count))
    for i in range(options.flips // 4):
        seed = rng.random()
        yield f"index.db-wal: flips, round {i}", lambda s, seed=seed: flip(s / "index.db-wal", random.Random(seed), 3)
    for i in range(8):
        yield f"index.db-wal cut at {i}/8", lambda s, i=i: truncate(s / "index.db-wal", (s / "index.db-wal").stat().st_size * i // 8)
    yield "index.db removed", lambda s: (s / "index.db").unlink()
    yield "index.db and its log removed", lambda s: [(s / n).unlink() for n in ("index.db", "index.db-wal", "index.db-shm") if (s / n).exists()]
    yield "index.db-wal removed", lambda s: (s / "index.db-wal").unlink(missing_ok=True)
    yield "index.db-shm of zeros", lambda s: (s / "index.db-shm").write_bytes(b"\0" * 32768)
    yield "index.db of zeros", lambda s: (s / "index.db").write_bytes(b"\0" * (s / "index.db").stat().st_size)
    yield "index.db is a text", lambda s: (s / "index.db").write_text("hello\n")
    yield "index.db is a directory", lambda s: ((s / "index.db").unlink(), (s / "index.db").mkdir())
    yield "index.db is a dangling link", lambda s: ((s / "index.db").unlink(), (s / "index.db").symlink_to("nowhere"))
    yield "index.json is garbage", lambda s: (s / "index.json").write_text("{")


def mounted_cases(short, snapshot, names):
    """The files of a layer that is mounted instead of unpacked."""
    for name in names:
        file = pathlib.Path("snapshots") / snapshot / name
        yield f"{short}: {name} flipped", lambda s, f=file: flip(s / f, random.Random(str(f)))
        yield f"{short}: {name} cut", lambda s, f=file: truncate(s / f, (s / f).stat().st_size // 2)
        yield f"{short}: {name} removed", lambda s, f=file: (s / f).unlink()
        yield f"{short}: {name} is a directory", lambda s, f=file: ((s / f).unlink(), (s / f).mkdir())


def object_cases(store, unsynced):
    """`store` is the filled store: a case for each of its objects. `unsynced` is one that no sync was made of."""
    for blob in sorted(os.listdir(store / "blobs" / "sha256")):
        short = f"blob {blob[:8]}"
        yield f"{short}: flip", lambda s, b=blob: flip(s / "blobs" / "sha256" / b, random.Random(b))
        yield f"{short}: cut", lambda s, b=blob: truncate(s / "blobs" / "sha256" / b, (s / "blobs" / "sha256" / b).stat().st_size // 2)
        yield f"{short}: empty", lambda s, b=blob: truncate(s / "blobs" / "sha256" / b, 0)
        yield f"{short}: removed", lambda s, b=blob: (s / "blobs" / "sha256" / b).unlink()
        yield f"{short}: a directory", lambda s, b=blob: ((s / "blobs" / "sha256" / b).unlink(), (s / "blobs" / "sha256" / b).mkdir())
    yield "all blobs removed", lambda s: shutil.rmtree(s / "blobs")
    yield "all blobs flipped", lambda s: [flip(b, random.Random(1)) for b in (s / "blobs" / "sha256").iterdir()]
    for snapshot in sorted(os.listdir(store / "snapshots")):
        short = f"snapshot {snapshot[:8]}"
        yield f"{short}: removed", lambda s, n=snapshot: shutil.rmtree(s / "snapshots" / n)
        if (store / "snapshots" / snapshot / "mounted").exists():
            yield from mounted_cases(short, snapshot, sorted(set(os.listdir(store / "snapshots" / snapshot)) - {"meta", "synced"}))
            continue
        yield f"{short}: fs removed", lambda s, n=snapshot: shutil.rmtree(s / "snapshots" / n / "fs")
        yield f"{short}: fs is a file", lambda s, n=snapshot: (shutil.rmtree(s / "snapshots" / n / "fs"), (s / "snapshots" / n / "fs").write_text("x"))
    yield "all snapshots removed", lambda s: shutil.rmtree(s / "snapshots")
    yield "all snapshots removed, directory kept", lambda s: [shutil.rmtree(p) for p in (s / "snapshots").iterdir()]
    yield "all snapshots and blobs removed", lambda s: (shutil.rmtree(s / "snapshots"), shutil.rmtree(s / "blobs"))
    for name in ("locks", "tmp", "leases", "mounts", "scans", "flats", "logs"):
        yield f"{name} removed", lambda s, n=name: shutil.rmtree(s / n, ignore_errors=True)
    yield "scans flipped", lambda s: [flip(p, random.Random(3), 3) for p in (s / "scans").iterdir()]
    yield "scans cut", lambda s: [truncate(p, p.stat().st_size // 2) for p in (s / "scans").iterdir()]
    yield "litter everywhere", lambda s: [(s / d / "litter").write_text("x") for d in ("snapshots", "blobs/sha256", "mounts", "scans", "leases", "locks")]
    yield "another boot, all synced", reboot
    yield "another boot, all synced, index lost", lambda s: (reboot(s), [p.unlink() for p in s.glob("index.db*")])
    yield "killed before the sync", lambda s: replace(s, unsynced)
    yield "killed before the sync, another boot", lambda s: (replace(s, unsynced), reboot(s), lose_unsynced(s))
    yield "killed before the sync, another boot, index lost", lambda s: (replace(s, unsynced), reboot(s), lose_unsynced(s),
                                                                        [p.unlink() for p in s.glob("index.db*")])
    yield "a newer index", lambda s: set_version(s, 99)
    yield "a newer index, removed", lambda s: (set_version(s, 99), (s / "index.db").unlink())
    yield "an older index", lambda s: (set_version(s, 1, "DROP TABLE logs"))


def one_case(the, filled, number, harm):
    the = the.fork(str(number))
    store = the.store("store")
    subprocess.run(["cp", "-a", "--reflink=auto", filled, store], check=True)
    try:
        harm(store)
        the.set_stamp(rig.STAMP)
        the.check_result(store)
        the.set_stamp("STAMP-AFTERWRD")
        the.check_result(store, "STAMP-AFTERWRD")
        the.check_nothing_left(store)
        the.set_stamp(rig.STAMP)
        the.check_result(store)
    finally:
        shutil.rmtree(the.work, ignore_errors=True)


def check_synced(the, filled):
    """Results that a finished build has synced are found by the next boot: no step of it runs again."""
    store = the.store("rebooted")
    subprocess.run(["cp", "-a", "--reflink=auto", filled, store], check=True)
    reboot(store)
    the.check_result(store)
    check("runs because" not in the.last_text, f"steps ran again after a reboot:\n{the.last_text}")


def steps_run_again(the, store):
    reboot(store)
    lose_unsynced_of(store)
    the.check_result(store)
    return "runs because" in the.last_text


def check_modes(the):
    """What each mode of --sync leaves for the next boot. Only what was marked may still have its bytes."""
    the = the.fork("modes")
    for mode, wanted in (("end", False), ("later", False), ("none", True), ("none", False)):
        the.sync = mode
        store = the.store(f"{mode}-{wanted}")
        the.check_result(store)
        rig.wait_for_death(store)  # with later, of the process that syncs
        if mode == "none" and not wanted:
            code, text = the.run(store, argv=[the.cbuild, "sync"])
            check(code == 0, text)
        check(steps_run_again(the, store) == wanted, f"--sync={mode}: {'no ' if wanted else ''}step ran again after a reboot:\n{the.last_text}")
        the.check_nothing_left(store)


def run(the, options):
    filled = the.store("filled")
    the.set_stamp(rig.STAMP)
    the.check_result(filled)
    code, text = the.run(filled, "-t", "kept:1")
    check(code == 0, text)
    check_synced(the, filled)
    check_modes(the)
    unsynced = the.store("unsynced")
    fill_unsynced(the, unsynced)
    cases = [*index_cases(options), *object_cases(filled, unsynced)]
    cases = [case for case in cases if options.case in case[0]]

    def one(numbered):
        number, (name, harm) = numbered
        try:
            one_case(the, filled, number, harm)
        except (support.Failure, subprocess.TimeoutExpired) as failure:
            print(f"FAILED {name}: {failure}\n", flush=True)
            return 1
        return 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        failed = sum(pool.map(one, enumerate(cases)))
    print(f"{len(cases)} kinds of damage, {failed} failed")
    check(failed == 0, f"{failed} of {len(cases)}")


if __name__ == "__main__":
    parser = rig.arguments(__doc__)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--case", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    sys.exit(rig.main("damage", arguments, run))
