#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Samples a command and draws where its time goes.

    bench/flamegraph.py --out docs/flames/context-scan.svg [--title TEXT] [--root FUNCTION] [--runs 20] -- COMMAND...

Needs perf (Debian package linux-perf). The command is run --runs times under `perf record`, on the clock of the processor, with
frame pointers. Widths are shares of the samples; frames below 0.4 % are left out. --root shows only what lies below a function
whose name holds that text.
"""
import argparse
import collections
import html
import re
import subprocess
import tempfile

WIDTH, LINE, LEFT, SMALLEST = 1180, 16, 10, 0.004
NOISE = re.compile(r"\[unknown\]|^0x|isolate_within_arena|task_arena_function|entry_SYSCALL_64|do_syscall_64|__x64_sys_")


def short(name):
    """A C++ name as a reader wants it: no arguments, no templates, no namespace of ours."""
    depth, out = 0, []
    for char in name.replace("(anonymous namespace)::", "").replace("{lambda", "lambda").replace("operator()", "call"):
        depth += char in "<("
        if depth == 0:
            out.append(char)
        depth -= char in ">)"
    return "".join(out).replace("cbuild::", "").replace("[abi:cxx11]", "").replace(" const", "").strip() or name


def stacks(data, root):
    """{outermost-first stack of names: samples}"""
    text = subprocess.run(["perf", "script", "-i", data, "-F", "ip,sym"], capture_output=True, text=True, check=True).stdout
    counts = collections.Counter()
    for block in text.split("\n\n"):
        names = [line.strip().split(" ", 1)[1] for line in block.splitlines() if " " in line.strip()]
        frames = [short(name) for name in reversed(names) if not NOISE.search(name)]
        if root:
            at = next((i for i, frame in enumerate(frames) if root in frame), None)
            frames = frames[at:] if at is not None else []
        if frames:
            counts[tuple(frames)] += 1
    return counts


def tree_of(counts):
    """[samples, {name: tree}]"""
    tree = [0, {}]
    for frames, count in counts.items():
        node = tree
        node[0] += count
        for frame in frames:
            node = node[1].setdefault(frame, [0, {}])
            node[0] += count
    return tree


def color(name, kernel):
    tint = sum(map(ord, name)) % 40
    return f"rgb({120 + tint},{160 + tint},{205 + tint})" if kernel else f"rgb({215 + tint},{140 + tint},{70 + tint})"


def is_kernel(name):
    return "::" not in name and re.fullmatch(r"[a-z_0-9.]+", name) is not None and name not in ("main", "malloc", "cfree")


def draw(tree, total, x, level, out):
    deepest = level
    for name, (count, below) in sorted(tree[1].items()):
        share = count / total
        if share >= SMALLEST:
            width = share * WIDTH
            y = 40 + level * LINE
            label = html.escape(name if len(name) * 6.2 < width else name[: max(int(width / 6.2) - 1, 0)])
            out.append(f'<g><title>{html.escape(name)}: {share:.1%}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
                       f'height="{LINE - 1}" fill="{color(name, is_kernel(name))}"/><text x="{x + 2:.1f}" y="{y + 11}">{label}</text></g>')
            deepest = max(deepest, draw([count, below], total, x, level + 1, out))
        x += share * WIDTH
    return deepest


def svg(tree, title):
    boxes = []
    depth = draw(tree, max(tree[0], 1), LEFT, 0, boxes)
    height = 60 + (depth + 1) * LINE
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 2 * LEFT}" height="{height}" font-family="monospace" font-size="10">'
            f'<rect width="100%" height="100%" fill="white"/><text x="{LEFT}" y="20" font-size="14">{html.escape(title)}</text>')
    return head + "\n" + "\n".join(boxes) + "\n</svg>\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--title", default="")
    parser.add_argument("--root", default="")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--before", default="", help="shell command run before each run, not sampled")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command[options.command[:1] == ["--"]:]
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            if options.before:
                subprocess.run(options.before, shell=True, check=True)
            data = f"{scratch}/perf.data"
            subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "5000", "--call-graph", "fp", "-o", data, "--", *command],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            counts.update(stacks(data, options.root))
    title = options.title or " ".join(command)
    with open(options.out, "w") as out:
        out.write(svg(tree_of(counts), f"{title} ({sum(counts.values())} samples)"))


if __name__ == "__main__":
    main()
