#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Registries that fail, by seeded schedules.

    registry.py CBUILD [--schedules 24] [--seed 1] [--only NUMBER]

Each schedule is one work (pull, resumed pull, push, copy by mounts, build and push, import and export of a remote cache) against a docker-registry
behind a proxy (flaky_registry.py) that disturbs some of the exchanges: by number, seed and schedule the same ones each time. The work ends within
150 s, either with the right image or with an error that has a message; a push that failed leaves its name absent or whole; a remote cache never makes
a build fail when it is imported; and the same work on the same store is right once the registry is well.

The 500: registry.py CBUILD --schedules 500
"""
import argparse
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import support  # noqa: E402
from support import Failure, check  # noqa: E402

import reference  # noqa: E402
from flaky_registry import FAULTS, flaky_registry  # noqa: E402

MOST_SECONDS = 150
TYPES = ", ".join(["application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"])


class Image:
    """The image of all works: in the registry as team/image:1, and as a layout."""

    def __init__(self, cbuild, registry, work):
        self.cbuild, self.registry, self.work = cbuild, registry, work
        self.base = support.base_layout()
        self.context = work / "context"
        self.context.mkdir()
        (self.context / "large").write_bytes(random.Random(7).randbytes(3_000_000))
        (self.context / "Dockerfile").write_text("ARG FROM=base\nFROM ${FROM} AS low\nCOPY large /large\nFROM low\nLABEL a=b\n")
        (self.context / "cached.Dockerfile").write_text("FROM base\nCOPY large /large\nRUN echo done >/done && sed -n 1p /large >/part\n")
        self.must(work / "first", "-t", f"{registry}/team/image:1", "--push", "-o", f"type=oci,tar=false,dest={work}/layout", self.context)
        self.must(work / "first", "-f", self.context / "cached.Dockerfile", "--cache-to", f"type=registry,ref={registry}/team/cache:1,mode=max",
                  "-o", f"type=oci,tar=false,dest={work}/cached", self.context)
        self.digest = self.tag_at(registry, "team/image", "1")
        self.cached = self.tree(work / "cached")

    def environment(self, store):
        return {**os.environ, "CBUILD_ROOT": str(store), "CBUILD_ETC": str(self.work / "etc"), "HOME": str(self.work),
                "CBUILD_TRANSFER_LIMITS": "connect=5s,answer=3s,window=3s"}

    def run(self, store, *argv):
        """Exit code, stderr, seconds."""
        began = time.monotonic()
        command = [str(self.cbuild), *[str(part) for part in argv]]
        if argv[0] != "copy":
            command[1:1] = ["--progress", "plain", "--build-context", f"base=oci-layout://{self.base}", "--provenance=false"]
        try:
            done = subprocess.run(command, env=self.environment(store), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                                  timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"not over after {MOST_SECONDS} s\n{late.stderr}") from late
        return done.returncode, done.stdout + done.stderr, time.monotonic() - began

    def must(self, store, *argv):
        code, text, _ = self.run(store, *argv)
        check(code == 0, f"{argv}: exit code {code}\n{text}")

    @staticmethod
    def get(registry, path, method="GET"):
        request = urllib.request.Request(f"http://{registry}/v2/{path}", method=method, headers={"Accept": TYPES})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read(), answer.headers

    def tag_at(self, registry, repository, tag):
        """The digest, or nothing."""
        try:
            return self.get(registry, f"{repository}/manifests/{tag}", "HEAD")[1]["Docker-Content-Digest"]
        except urllib.error.HTTPError as error:
            check(error.code == 404, f"{repository}: {error}")
            return None

    def check_in_registry(self, repository, tag="1", digest=None):
        """The name gives a whole image, with every blob as its digest says."""
        body, headers = self.get(self.registry, f"{repository}/manifests/{tag}")
        check(digest is None or headers["Docker-Content-Digest"] == digest, f"{repository} is {headers['Docker-Content-Digest']}, not {digest}")
        manifest = json.loads(body)
        for blob in [manifest["config"], *manifest["layers"]]:
            content = self.get(self.registry, f"{repository}/blobs/{blob['digest']}")[0]
            check("sha256:" + hashlib.sha256(content).hexdigest() == blob["digest"], f"{repository}: blob {blob['digest']} is damaged")

    @staticmethod
    def check_layout(layout, digest=None):
        blobs = list((layout / "blobs" / "sha256").iterdir())
        for blob in blobs:
            check(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name, f"{blob} does not match its digest")
        index = json.loads((layout / "index.json").read_text())
        top = index["manifests"][-1]["digest"]
        check(digest in (None, top), f"{layout} is {top}, not {digest}")
        manifest = json.loads((layout / "blobs" / top.replace(":", "/")).read_text())
        for blob in [manifest["config"], *manifest["layers"]]:
            check(layout / "blobs" / blob["digest"].replace(":", "/") in blobs, f"{layout}: {blob['digest']} is missing")

    @staticmethod
    def tree(layout):
        index = json.loads((layout / "index.json").read_text())
        manifest = json.loads((layout / "blobs" / index["manifests"][-1]["digest"].replace(":", "/")).read_text())
        return json.loads((layout / "blobs" / manifest["config"]["digest"].replace(":", "/")).read_text())["rootfs"]["diff_ids"][:2]


class Work:
    """One schedule. `do` runs it through an address; `check` looks at the result."""

    def __init__(self, image, number, place):
        self.image, self.number, self.place = image, number, place
        self.store = place / "store"
        self.own = f"run/{number}"

    def pull(self, address):
        return self.image.run(self.store, "copy", f"docker://{address}/team/image:1", f"oci-layout://{self.place}/out:1")

    def check_pull(self):
        self.image.check_layout(self.place / "out", self.image.digest)

    resume, check_resume = pull, check_pull

    def build(self, address):
        return self.image.run(self.store, "--build-arg", f"FROM={address}/team/image:1", "--pull", "-o", f"type=oci,tar=false,dest={self.place}/built",
                              self.image.context)

    def check_build(self):
        self.image.check_layout(self.place / "built")

    def push(self, address):
        return self.image.run(self.store, "copy", f"oci-layout://{self.image.work}/layout", f"docker://{address}/{self.own}:1")

    def check_push(self):
        self.image.check_in_registry(self.own, digest=self.image.digest)

    def mount(self, address):
        return self.image.run(self.store, "copy", f"docker://{address}/team/image:1", f"docker://{address}/{self.own}:1")

    check_mount = check_push

    def build_push(self, address):
        return self.image.run(self.store, "-t", f"{address}/{self.own}:1", "--push", self.image.context)

    def check_build_push(self):
        self.image.check_in_registry(self.own)

    def cache(self, address):
        return self.image.run(self.store, "-f", self.image.context / "cached.Dockerfile", "--cache-from", f"type=registry,ref={address}/team/cache:1",
                              "-o", f"type=oci,tar=false,dest={self.place}/cached", self.image.context)

    def check_cache(self):
        self.image.check_layout(self.place / "cached")
        check(self.image.tree(self.place / "cached") == self.image.cached, "the build with a cache gives another image")

    def export(self, address):
        return self.image.run(self.store, "-f", self.image.context / "cached.Dockerfile", "--cache-to",
                              f"type=registry,ref={address}/{self.own}:1,mode=max", "-o", "type=cacheonly", self.image.context)

    def check_export(self):
        self.image.check_in_registry(self.own)


WORKS = ["pull", "resume", "build", "push", "mount", "build_push", "cache", "export"]


def make_plan(rng, work):
    """Which exchanges are disturbed, and how."""
    names = ["cut", "long", "reset", "whole", "odd-range", "slow", "redirect"] if work == "resume" else list(FAULTS)
    weights = [FAULTS[name] for name in names]
    density = rng.choice([0.1, 0.3, 0.6, 0.95])
    most = rng.choice([1, 2, 4, 8, 16])
    plan = {}
    for exchange in range(60):
        if len(plan) < most and rng.random() < density:
            plan[exchange] = rng.choices(names, weights)[0]
    return plan, rng.choice([0, 0, 3, 100])


def failed_well(work, code, text):
    """An error that the user can read."""
    check(code in (1, 3), f"exit code {code}\n{text}")
    errors = [line for line in text.splitlines() if line.startswith("ERROR: ") or ": error: " in line]
    check(errors, f"exit code {code} without an error\n{text}")
    check(all(len(line) < 4000 for line in errors), f"the error is {max(map(len, errors))} characters long")
    check("secret" not in text and "token-" not in text, f"a secret is in\n{text}")
    check(work.kind != "cache", f"a cache made the build fail\n{text}")


def run_schedule(image, number, seed, place):
    """The plan and the log as text of a failure; nothing if all is well. Also whether the work was done."""
    rng = random.Random(f"{seed}/{number}")
    kind = WORKS[number % len(WORKS)]
    plan, uses = make_plan(rng, kind)
    place.mkdir()
    work = Work(image, number, place)
    work.kind = kind
    text = ""
    with flaky_registry(image.registry, plan, uses, rng) as proxy:
        try:
            code, text, _ = getattr(work, kind)(proxy.address)
            check(not proxy.violations, f"{proxy.violations}")
            if code == 0:
                getattr(work, f"check_{kind}")()
            else:
                failed_well(work, code, text)
                if kind in ("push", "mount", "build_push", "export") and image.tag_at(image.registry, work.own, "1"):
                    image.check_in_registry(work.own)
            again, second, _ = getattr(work, kind)(image.registry)
            check(again == 0, f"afterwards, without faults: exit code {again}\n{second}")
            getattr(work, f"check_{kind}")()
        except (Failure, OSError, KeyError, ValueError) as failure:
            return f"schedule {number} ({kind}, tokens for {uses}, {plan}): {failure}\n" + "\n".join(proxy.log) + f"\n{text}", False
    shutil.rmtree(place, ignore_errors=True)
    return None, code == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cbuild", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp/cbuild-faults"))
    parser.add_argument("--schedules", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    args = parser.parse_args()
    numbers = range(args.schedules) if args.only is None else [args.only]
    with support.scratch("registry", args.work, size="3g") as work, reference.registry(work) as registry:
        image = Image(args.cbuild.resolve(), registry, work)
        done, problems = 0, []
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            tasks = [pool.submit(run_schedule, image, number, args.seed, work / f"schedule-{number}") for number in numbers]
            for task in concurrent.futures.as_completed(tasks):
                problem, right = task.result()
                done += right
                if problem:
                    problems.append(problem)
    for problem in problems:
        print(problem)
    print(f"{len(numbers)} schedules of seed {args.seed}: {done} gave the image, {len(numbers) - done - len(problems)} a clear error, "
          f"{len(problems)} failed")
    return 1 if problems else 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
