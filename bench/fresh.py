# SPDX-License-Identifier: Apache-2.0
"""`bench/run --rows fresh`: builders with an empty store, a real base, and one registry at the end of a cable."""
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import builders
import debian
import fleet
import fresh_builders
import fresh_rows
import network

FIGURES = {"seconds": "s", "moved_mb": "MB moved", "peak_mb": "MB peak"}


@dataclasses.dataclass
class Setting:
    """What all builders share."""
    cbuild: str
    scratch: pathlib.Path
    net: network.Network
    registry: str


def chosen(names):
    """The rows of a comma list that are of this family."""
    wanted = names.split(",")
    return [row for row in fresh_rows.ALL if "fresh" in wanted or row.name in wanted]


def push_bases(setting, out):
    """To the registry, from its own side of the cable."""
    layouts = debian.make(out / "bases") | {"busybox": builders.make_base(setting.scratch)["layout"]}
    for name, layout in layouts.items():
        subprocess.run(["ip", "netns", "exec", setting.net.hub, "skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:latest",
                        f"docker://{setting.registry}/{name}"], check=True)


def make_contexts(row, build, context, nonce, registry):
    for number in range(build.at_once):
        directory = context / str(number)
        directory.mkdir(parents=True)
        (build.make or row.make)(directory, f"{nonce}-{number}", registry)


def measure(builder, setting, row, build, context, timeout):
    """The figures of one build, or None."""
    name = context.parent.name
    jobs = [fresh_builders.Job(context / str(number), f"{setting.registry}/{name}/{number}:latest", f"{setting.registry}/{name}/cache:main",
                               build, builder.home / "image.tar") for number in range(build.at_once)]
    os.sync()
    before = sum(setting.net.traffic(builder.namespace))
    took = builder.run(jobs, timeout)
    if took is None:
        return None
    moved = sum(setting.net.traffic(builder.namespace)) - before
    return {"seconds": took["seconds"], "moved_mb": moved / 1e6, "peak_mb": took["peak_kb"] / 1024, "cpu_s": took["cpu_s"]}


def run_sequence(builder, setting, row, run, options, samples):
    """The builds of a row, on stores of their own; whether all worked."""
    home = setting.scratch / "contexts" / f"{row.name.lower()}-{builder.name}-{run}"
    nonce, context = f"{row.name}-{builder.name}-{run}-{time.time_ns()}", None
    for number, build in enumerate(row.builds):
        if number == 0 or build.empty:
            builder.empty()
        if number == 0 or build.make:
            context = home / f"context{number}"
            make_contexts(row, build, context, nonce, setting.registry)
        if build.edit:
            fresh_rows.edit_source(context / "0")
        took = measure(builder, setting, row, build, context, options.timeout)
        if took is None:
            print(f"  {builder.name}: {row.name} {build.kind}: failed or over {options.timeout:g} s", file=sys.stderr)
            return False
        if build.kind:
            samples[build.kind].setdefault(builder.name, []).append(took)
            print(f"  {row.name} {build.kind} run {run + 1}: {builder.name} {took['seconds']:.3f} s, {took['moved_mb']:.1f} MB moved, "
                  f"{took['peak_mb']:.0f} MB peak", file=sys.stderr)
    builder.stop()
    return True


def run_row(row, against, setting, options):
    """{kind: {builder: [figures]}}, builders in turns; one that failed is left out of the rest of the row."""
    samples = {build.kind: {} for build in row.builds if build.kind}
    alive = [builder for builder in against if row.needs <= builder.knows]
    for run in range(options.runs):
        alive = [builder for builder in alive if run_sequence(builder, setting, row, run, options, samples)]
    for builder in against:
        builder.clean()
    return samples


def table(results, names):
    """A line for each kind and figure."""
    lines = ["| row | kind | | " + " | ".join(names) + " |", "|---" * (len(names) + 3) + "|"]
    for row, samples in results.items():
        for kind, per in samples.items():
            for figure, unit in FIGURES.items():
                cells = [f"{statistics.median(s[figure] for s in per[n]):.3g}" if per.get(n) else "-" for n in names]
                lines.append(f"| {row} | {kind} | {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def make_builders(setting, options):
    made = [fresh_builders.make("cbuild", setting)] if "root" in options.as_whom else []
    if "user" in options.as_whom:
        made.append(fresh_builders.CbuildUser(setting, fleet.support.bases.test_user()))
    return made + [fresh_builders.make(name, setting) for name in filter(None, options.against.split(","))]


def run(options, rows, out, about):
    """Runs the rows and writes fresh.md and fresh.json into `out`, after each row."""
    with (tempfile.TemporaryDirectory(prefix="cbuild-bench-", dir=options.scratch) as scratch, network.network(options.link) as net,
          fleet.registry(net, pathlib.Path(scratch)) as registry):
        os.chmod(scratch, 0o755)
        setting = Setting(os.path.abspath(options.cbuild), pathlib.Path(scratch), net, registry)
        push_bases(setting, out)
        against, results = make_builders(setting, options), {}
        try:
            for row in rows:
                print(f"{row.name}: {row.title}", file=sys.stderr)
                results[row.name] = run_row(row, against, setting, options)
                about["load_after"] = os.getloadavg()
                (out / "fresh.json").write_text(json.dumps({"versions": {b.name: b.version for b in against}, "machine": about,
                                                            "link": options.link, "runs": options.runs, "samples": results}, indent=1))
                (out / "fresh.md").write_text(table(results, [b.name for b in against]))
        finally:
            for builder in against:
                builder.close()
    print(table(results, [b.name for b in against]))
