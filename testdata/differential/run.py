#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Differential runner: the same Dockerfiles through cbuild and a reference, compared by config, history and file tree.

    run.py CBUILD WORK [TOPIC...] [--only REGEX] [--show]      cbuild against the recorded expectations
    run.py CBUILD WORK --buildkit unix:///SOCKET ...           cbuild against a running buildkitd (buildctl on PATH)
    run.py CBUILD WORK --docker ...                            cbuild against docker.io's dockerd, started for the run
    run.py CBUILD WORK --record --buildkit unix:///SOCKET      writes the expectations (TOPIC.json) of new and changed cases
    run.py CBUILD WORK --record-all --buildkit ...             writes all of them again

The format of the cases is in cases.py. A tree is compared path by path: type, mode, owner, content, link target, hard-link groups, xattrs, and
the time where the reference does not take it from the clock. The base's own unchanged files are left out of the expectations.
"""
import argparse
import concurrent.futures
import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e")]

import builders  # noqa: E402
import cases as case_files  # noqa: E402
import images  # noqa: E402
import reference  # noqa: E402
import support  # noqa: E402

DOCKER_FRONTEND = (1, 2)
# Rows of the history that its frontend words in another way; config and tree show their effect.
DOCKER_WORDING = re.compile(r"^(ARG|EXPOSE|HEALTHCHECK) .*?( \[empty\])")
# Fields that Docker's own formats add and the image-spec does not know.
DOCKER_FIELDS = {"Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "Image",
                 "ArgsEscaped"}


def tree_differences(want, have):
    out = []
    for path in sorted(set(want) | set(have)):
        mine, theirs = have.get(path, "absent"), want.get(path, "absent")
        if theirs and mine and " @" not in theirs:
            mine = images.without_time(mine)
        if mine != theirs:
            out.append(f"tree /{path}: {mine}, expected {theirs}")
    return out


def differences(want, have):
    """The differences as lines; empty if there are none."""
    if "error" in want or "error" in have:
        return error_differences(want, have)
    out = tree_differences(want["tree"], have["tree"])
    for key in sorted((set(want) | set(have)) - {"tree", "config", "history"}):
        if want.get(key) != have.get(key):
            out.append(f"{key}: {have.get(key)!r}, expected {want.get(key)!r}")
    for key in sorted(set(want["config"]) | set(have["config"])):
        if want["config"].get(key) != have["config"].get(key):
            out.append(f"config {key}: {have['config'].get(key)!r}, expected {want['config'].get(key)!r}")
    for number in range(max(len(want["history"]), len(have["history"]))):
        theirs, mine = ((rows[number] if number < len(rows) else "absent") for rows in (want["history"], have["history"]))
        if mine != theirs:
            out.append(f"history {number}: {mine!r}, expected {theirs!r}")
    return out


def error_differences(want, have):
    if "error" not in have:
        return [f"accepted, expected: {want['error']}"]
    if "error" not in want:
        return [f"rejected: {have['error']}"]
    if want.get("line") and have.get("line") != want["line"]:
        return [f"line {have.get('line')}, expected {want['line']} ({want['error']})"]
    return []


def without(found, patterns, used):
    for pattern in patterns:
        hit = [line for line in found if re.search(pattern, line)]
        found = [line for line in found if line not in hit]
        if hit:
            used.add(pattern)
    return found


def forgive(case, found, old):
    """Takes out the differences that are meant, and those from an `old` builder that are its own; one that is no longer there is a fault too."""
    used = set()
    meant = [pattern for pattern, _ in case.differs]
    kept = without(without(found, meant, used), case.old if old else [], used)
    kept += [f"differs: {page} does not exist" for _, page in case.differs if not (HERE.parents[1] / page).is_file()]
    name, expected = ("old", case.old) if old else ("differs", meant)
    return kept + [f"{name}: nothing matches {pattern!r}" for pattern in expected if pattern not in used]


def message_differences(case, have):
    return [f"no /{pattern}/ in cbuild's message:\n{have.get('error', '(accepted)')}" for pattern in case.rejects
            if not re.search(pattern, have.get("error", ""), re.M)]


def normalise_docker(result):
    for field in DOCKER_FIELDS:
        result.get("config", {}).pop(field, None)
    if "history" in result:
        result["history"] = [re.sub(r" --ch(own|mod)=\S+", "", DOCKER_WORDING.sub(r"\1\2", row)) for row in result["history"]]
    result.pop("layers", None)
    result.pop("line", None)
    return result


class Run:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.base = support.base_layout()
        self.reader = images.Reader(self.base)
        self.cbuild = builders.Cbuild(options.cbuild.resolve(), self.base, work)
        self.recorded, self.failed, self.done = {}, [], 0

    def build(self, case, builder, label):
        folder = self.work / f"{case.topic}.{case.name}-{label}"
        folder.mkdir()
        return builders.build_case(case, builder, self.reader, folder)

    def expected(self, case, builder):
        if builder and not case.only_cbuild():
            result, log = self.build(case, builder, "reference")
            if isinstance(builder, builders.Docker):
                result = normalise_docker(result)
            return result, log
        entry = self.recorded.get(case.topic, {}).get(case.name)
        if entry is None:
            raise case_files.BadCase("no expectation is recorded; run with --record")
        if entry["case"] != case.digest():
            raise case_files.BadCase("the case was changed after its expectation was recorded; run with --record")
        return entry["result"], ""

    def compare(self, case, builder):
        want, log = self.expected(case, builder)
        have, _ = self.build(case, self.cbuild, "cbuild")
        messages = message_differences(case, have)
        old = isinstance(builder, builders.Docker)
        if old:
            have = normalise_docker(have)
        found = forgive(case, differences(want, have), old) + messages
        if self.options.show:
            print(json.dumps({"case": f"{case.topic}/{case.name}", "expected": want, "cbuild": have}, indent=1, ensure_ascii=False))
            print(log)
        return found

    def report(self, case, found):
        self.done += 1
        if found:
            self.failed.append(case)
            print(f"{HERE.name}/{case.topic}.cases:{case.line}: {case.name}\n  " + "\n  ".join(found), flush=True)

    def check(self, case, builder):
        try:
            return self.compare(case, builder)
        except (case_files.BadCase, RuntimeError, OSError, KeyError, ValueError, subprocess.SubprocessError) as failure:
            return [f"{type(failure).__name__}: {failure}"]

    def all(self, chosen, builder):
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for case, found in zip(chosen, pool.map(lambda case: self.check(case, builder), chosen)):
                self.report(case, found)

    def record(self, chosen, builder):
        for topic in dict.fromkeys(case.topic for case in chosen):
            stale = [case for case in chosen if case.topic == topic and not case.only_cbuild() and self.is_stale(case)]
            if stale:
                self.record_topic(stale, builder)

    def is_stale(self, case):
        entry = self.recorded.get(case.topic, {}).get(case.name)
        return self.options.record_all or entry is None or entry["case"] != case.digest()

    def record_topic(self, chosen, builder):
        entries = self.recorded.setdefault(chosen[0].topic, {})
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for case, (result, log) in zip(chosen, pool.map(lambda case: self.build(case, builder, "reference"), chosen)):
                self.report(case, [] if bool(case.rejects) == ("error" in result) else
                            [f"the reference says {result.get('error', 'nothing against it')}\n{log}"])
                entries[case.name] = {"case": case.digest(), "result": result}
        topic = chosen[0].topic
        names = [case.name for case in case_files.read_topic(HERE / f"{topic}.cases") if case.name in entries]
        (HERE / f"{topic}.json").write_text(dump({name: entries[name] for name in names}))


def dump(entries):
    """One line for each path, variable and history row, so that changes of an expectation are read as such."""
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"


@contextlib.contextmanager
def reference_builder(options, run):
    if options.buildkit:
        yield builders.Buildkit(options.buildkit, run.base)
    elif options.docker:
        with reference.dockerd(run.work) as env:
            yield builders.Docker(env, run.base, run.work)
    else:
        yield None


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cbuild", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("topics", nargs="*")
    parser.add_argument("--only", default="", help="cases whose name matches")
    parser.add_argument("--buildkit", help="address of a buildkitd")
    parser.add_argument("--docker", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--record-all", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    return parser.parse_args()


def chosen_cases(options):
    chosen = [case for case in case_files.read_all(HERE) if not options.topics or case.topic in options.topics]
    chosen = [case for case in chosen if re.search(options.only, case.name)]
    if options.docker:
        chosen = [case for case in chosen if case.since() <= DOCKER_FRONTEND and not case.only_cbuild()]
    return chosen


def main():
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="differential-", dir=options.work.resolve()))
    try:
        run = Run(options, work)
        for path in HERE.glob("*.json"):
            run.recorded[path.stem] = json.loads(path.read_text())
        chosen = chosen_cases(options)
        with reference_builder(options, run) as builder:
            (run.record if options.record or options.record_all else run.all)(chosen, builder)
        print(f"{run.done} cases, {len(run.failed)} unlike")
        return 1 if run.failed or not run.done else 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
