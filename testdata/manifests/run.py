#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same builds through buildx and cbuild: equal documents apart from times, digests and the name of the builder.

    run.py CBUILD WORK [--only REGEX] [--show]                       cbuild against the recorded answers (recorded.json)
    run.py CBUILD WORK --record|--record-all --buildkit ADDRESS      writes the answers of buildx, with BuildKit at that address

A case of cases.json has a Dockerfile (a name of "dockerfiles", default "plain"), "flags" of the build, "outputs" (the values of --output;
${OUT} is a directory of the case, ${REGISTRY} a registry), "env", and "read": the results that are described, by their form:

    oci:NAME      a layout directory below ${OUT}      ocitar:NAME, dockertar:NAME    archives
    files:NAME    a directory of files                 tar:NAME                       a tar of files
    push:NAME     a name in the registry               metadata                       the metadata file

"differs" has differences that are meant, as regular expressions over the lines that are printed, with the page that says why; a listed
difference that is gone is a failure, too. A case that both refuse is equal; "refused" is a part of cbuild's message then.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e")]

import describe  # noqa: E402
import layouts  # noqa: E402
import reference  # noqa: E402

TIMEOUT = 300
# Differences of every case, and the page that says why.
EVERYWHERE = json.loads((HERE / "cases.json").read_text())["everywhere"]
# A daemon has one encoding of a layer, the first that was asked for; so no two cases have the same layers.
CONTEXT = {"a": "a of CASE\n", "b": "b of CASE\n"}


class Case:
    def __init__(self, spec, shared):
        self.spec, self.name = spec, spec["name"]
        self.text = shared["dockerfiles"][spec.get("dockerfile", "plain")]

    def digest(self):
        return hashlib.sha256(json.dumps([self.text, {k: v for k, v in self.spec.items() if k not in ("differs", "refused")}],
                                         sort_keys=True).encode()).hexdigest()[:16]

    def words(self, names):
        words = list(self.spec.get("flags", []))
        for output in self.spec.get("outputs", []):
            words += ["--output", output]
        if "metadata" in self.spec.get("read", []):
            words += ["--metadata-file", "${OUT}/metadata.json"]
        return [layouts.expand(word, names) for word in words]


def run(argv, env, cwd):
    return subprocess.run([str(word) for word in argv], env={**os.environ, **env}, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=TIMEOUT)


class Builder:
    """One of the two programs, on a case."""

    def __init__(self, argv, env, registry):
        self.argv, self.env, self.registry = argv, env, registry

    def build(self, case, work):
        context, out = work / "context", work / "out"
        for folder in (context, out):
            folder.mkdir(parents=True)
        # A daemon takes files of one size and time for equal.
        time = 1700000000 + int(hashlib.sha256(case.name.encode()).hexdigest()[:5], 16)
        for name, text in {**CONTEXT, "Dockerfile": case.text}.items():
            (context / name).write_text(text.replace("CASE", case.name))
            os.utime(context / name, (time, time))
        names = {"OUT": str(out), "REGISTRY": f"{self.registry}/{case.name}"}
        words = case.words(names)
        for base in case.spec.get("bases", []):
            words += ["--build-context", f"{base}=oci-layout://{layouts.make(work / base, base, case.name)}"]
        # The work directory may lie in a repository, which is none of the context's.
        env = {"GIT_CEILING_DIRECTORIES": str(context.parent), **self.env, **case.spec.get("env", {})}
        done = run([*self.argv, *words, context], env, context)
        if done.returncode != 0:
            return {"refused": True}, done.stderr
        found = describe.Description({self.registry: "REGISTRY", self.registry.replace(":", "%3A"): "REGISTRY", str(out): "OUT"})
        return {what: found.read(what, out, names["REGISTRY"]) for what in case.spec["read"]}, done.stderr


def flat(value, path=""):
    """Leaves of a JSON value as lines."""
    if isinstance(value, dict) and value:
        return [line for key in sorted(value) for line in flat(value[key], f"{path}/{key}")]
    if isinstance(value, list) and value:
        return [line for number, one in enumerate(value) for line in flat(one, f"{path}/{number}")]
    return [f"{path}: {json.dumps(value, ensure_ascii=False)}"]


def differences(want, have):
    mine, theirs = flat(have), flat(want)
    return [f"missing {line}" for line in theirs if line not in mine] + [f"added {line}" for line in mine if line not in theirs]


def forgive(case, found):
    for pattern in EVERYWHERE:
        found = [line for line in found if not re.search(pattern, line)]
    for pattern, page in case.spec.get("differs", {}).items():
        if not (HERE.parents[1] / page).is_file():
            found = [*found, f"differs: {page} does not exist"]
        kept = [line for line in found if not re.search(pattern, line)]
        if len(kept) == len(found):
            kept.append(f"differs: nothing matches {pattern!r}")
        found = kept
    return found


class Run:
    def __init__(self, options, work, registry):
        self.options, self.work = options, work
        shared = json.loads((HERE / "cases.json").read_text())
        self.cases = [Case(spec, shared) for spec in shared["cases"] if re.search(options.only, spec["name"])]
        self.path = HERE / "recorded.json"
        self.recorded = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.registry = registry

    def cbuild(self):
        argv = [self.options.cbuild.resolve(), "--root", self.work / "store", "--progress", "plain", "--insecure-registry", self.registry]
        return Builder(argv, {}, self.registry)

    def buildx(self):
        config = self.work / "buildx"
        env = {"BUILDX_CONFIG": str(config), "HOME": str(config)}
        config.mkdir()
        subprocess.run(["buildx", "create", "--name", "reference", "--driver", "remote", self.options.buildkit], env={**os.environ, **env},
                       check=True, capture_output=True)
        return Builder(["buildx", "--builder", "reference", "build", "--progress", "plain"], env, self.registry)

    def result(self, builder, label, case):
        folder = self.work / f"{case.name}-{label}"
        try:
            return builder.build(case, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def compare(self, builder, case):
        entry = self.recorded.get(case.name)
        if entry is None or entry["case"] != case.digest():
            return ["the case is not recorded, or was changed since; run with --record"]
        have, log = self.result(builder, "cbuild", case)
        if self.options.show:
            print(json.dumps({"expected": entry["result"], "cbuild": have}, indent=1), log)
        found = forgive(case, differences(entry["result"], have))
        if case.spec.get("refused") and not re.search(case.spec["refused"], log):
            found.append(f"no {case.spec['refused']!r} in the message")
        return found + ([log] if found and "refused" in have else [])

    def record(self, builder, case):
        entry = self.recorded.get(case.name)
        if not self.options.record_all and entry and entry["case"] == case.digest():
            return []
        result, log = self.result(builder, "buildx", case)
        self.recorded[case.name] = {"case": case.digest(), "result": result}
        return [f"refused by the reference: {log[-400:]}"] if "refused" in result and "refused" not in case.spec else []

    def all(self):
        recording = self.options.record or self.options.record_all
        builder = self.buildx() if recording else self.cbuild()
        failed = 0

        def one(case):
            try:
                return (self.record if recording else self.compare)(builder, case)
            except (OSError, KeyError, TypeError, ValueError, RuntimeError, subprocess.SubprocessError) as failure:
                return [f"{type(failure).__name__}: {failure}"]
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for case, found in zip(self.cases, pool.map(one, self.cases)):
                failed += bool(found)
                if found:
                    print(f"{case.name}\n  " + "\n  ".join(found), flush=True)
        if recording:
            names = [spec["name"] for spec in json.loads((HERE / "cases.json").read_text())["cases"]]
            self.path.write_text(json.dumps({name: self.recorded[name] for name in names if name in self.recorded}, indent=1,
                                            ensure_ascii=False) + "\n")
        print(f"{len(self.cases)} cases, {failed} unlike")
        return 1 if (failed and not recording) or not self.cases else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cbuild", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--only", default="", help="cases whose name matches")
    parser.add_argument("--buildkit", help="address of a buildkitd; buildx is taken from PATH")
    parser.add_argument("--record", action="store_true", help="cases that are new or changed")
    parser.add_argument("--record-all", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="manifests-", dir=options.work.resolve()))
    try:
        with reference.registry(work) as address:
            return Run(options, work, address).all()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
