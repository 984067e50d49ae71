# SPDX-License-Identifier: Apache-2.0
"""check.py FILE [made|again|fails]: the lines are BuildKit's client.SolveStatus as its readers decode it, and say what the build did."""
import base64
import json
import re
import sys

DIGEST, TIME = re.compile(r"sha256:[0-9a-f]{64}"), re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
PLACE = {"line": int}
# Fields of the Go types: kind, and whether the field has to be there.
FIELDS = {
    "vertexes": {"digest": (DIGEST, True), "inputs": ([DIGEST], False), "name": (str, True), "started": (TIME, False),
                 "completed": (TIME, False), "cached": (bool, False), "error": (str, False)},
    "statuses": {"id": (str, True), "vertex": (DIGEST, True), "name": (str, False), "total": (int, False), "current": (int, True),
                 "timestamp": (TIME, True), "started": (TIME, False), "completed": (TIME, False)},
    "logs": {"vertex": (DIGEST, True), "stream": (int, True), "data": (base64, True), "timestamp": (TIME, True)},
    "warnings": {"vertex": (DIGEST, True), "level": (int, True), "short": (base64, True), "detail": ([base64], False), "url": (str, False),
                 "sourceInfo": (dict, False), "range": (list, False)},
}


def fits(kind, value):
    if isinstance(kind, list):
        return isinstance(value, list) and all(fits(kind[0], one) for one in value)
    if kind is base64:
        return isinstance(value, str) and base64.b64encode(base64.b64decode(value, validate=True)).decode() == value
    return bool(kind.fullmatch(value)) if isinstance(kind, re.Pattern) else type(value) is kind


def check_entry(name, entry):
    fields = FIELDS[name]
    assert set(entry) <= set(fields), entry
    for field, (kind, needed) in fields.items():
        assert field in entry or not needed, (field, entry)
        assert field not in entry or fits(kind, entry[field]), (field, entry)


def read(path):
    vertexes, logs, warnings, counters = {}, {}, [], {}
    for line in open(path, encoding="utf-8"):
        if not line.startswith("{"):
            continue  # the error behind the end
        status = json.loads(line)
        assert status and set(status) <= set(FIELDS), line
        for name, entries in status.items():
            assert entries, line
            for entry in entries:
                check_entry(name, entry)
        for vertex in status.get("vertexes", []):
            known = vertexes.setdefault(vertex["digest"], vertex)
            assert known["name"] == vertex["name"] and known.get("inputs") == vertex.get("inputs"), (known, vertex)
            assert set(known) <= set(vertex), (known, vertex)  # nothing is taken back
            assert all(one in vertexes for one in vertex.get("inputs", [])), vertex
            vertexes[vertex["digest"]] = vertex
        for log in status.get("logs", []):
            assert log["vertex"] in vertexes, log
            logs.setdefault((log["vertex"], log["stream"]), b"")
            logs[log["vertex"], log["stream"]] += base64.b64decode(log["data"])
        for counter in status.get("statuses", []):
            assert counter["vertex"] in vertexes, counter
            counters[counter["vertex"], counter["id"]] = counter
        warnings += status.get("warnings", [])
    assert all("completed" in vertex for vertex in vertexes.values()), vertexes
    assert all("completed" in counter for counter in counters.values()), counters
    return vertexes, logs, warnings


vertexes, logs, warnings = read(sys.argv[1])
steps = {vertex["name"]: vertex for vertex in vertexes.values()}
assert all(warning["vertex"] in vertexes for warning in warnings)
if sys.argv[2] == "fails":
    step = steps["[fails 2/2] RUN echo before; exit 3"]
    assert "3" in step["error"] and not step.get("cached"), step
    assert logs[step["digest"], 1] == b"before\n", logs
else:
    run, copy = steps["[made 3/3] RUN echo to-out; echo to-err >&2"], steps["[made 2/3] COPY file /file"]
    assert copy["digest"] in run["inputs"], run
    cached = sys.argv[2] == "again"
    assert run.get("cached", False) == cached and copy.get("cached", False) == cached, steps
    if not cached:
        assert logs[run["digest"], 1] == b"to-out\n" and logs[run["digest"], 2] == b"to-err\n", logs
        shorts = [base64.b64decode(warning["short"]).decode() for warning in warnings]
        assert any(short.startswith("FromAsCasing:") for short in shorts), shorts
        assert warnings[0]["sourceInfo"]["filename"] == "Dockerfile" and warnings[0]["range"][0]["start"] == {"line": 1}, warnings
    print(run["digest"])
