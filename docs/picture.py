#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the picture of a terminal in README.md, in two steps that can be run apart:

    docs/picture.py record CBUILD    builds examples/hello in tmux (root, busybox-static) and writes docs/terminal.ansi
    docs/picture.py draw             docs/terminal.ansi to docs/terminal.svg
"""
import html
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

COLUMNS, ROWS = 104, 26
DOCS = pathlib.Path(__file__).resolve().parent
COLORS = {31: "#e06c75", 32: "#98c379", 33: "#e5c07b", 34: "#61afef", 35: "#c678dd", 36: "#56b6c2"}
FOREGROUND, DIM, BACKGROUND = "#dcdfe4", "#7f848e", "#1e2127"
CELL, LINE, MARGIN, SIZE = 8.43, 18, 14, 14
COMMANDS = ["cbuild -t hello .", "sed -i 's/echo/echo Hello,/' greet.sh.in && cbuild -t hello ."]


def wait_for_prompt(tmux: list[str], prompts: int) -> str:
    """The screen with its colours, once its last line is a prompt and as many were shown."""
    for _ in range(600):
        plain = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout.rstrip("\n")
        lines = plain.split("\n")
        if lines[-1] == "$" and sum(line.startswith("$") for line in lines) == prompts:
            return subprocess.run([*tmux, "capture-pane", "-e", "-p"], capture_output=True, text=True, check=True).stdout
        time.sleep(0.1)
    raise TimeoutError("the shell shows no prompt")


def record(program: str) -> None:
    """Types COMMANDS into a shell in tmux and keeps the screen with its colours."""
    with tempfile.TemporaryDirectory() as room:
        work = pathlib.Path(room)
        (work / "bin").mkdir()
        os.symlink(pathlib.Path(program).resolve(), work / "bin/cbuild")
        shutil.copytree(DOCS.parent / "examples/hello", work / "hello")
        path = f"{work}/bin:{os.environ['PATH']}"
        env = dict(os.environ, PATH=path, CBUILD_ROOT=f"{work}/store", TERM="xterm-256color")
        busybox = pathlib.Path(shutil.which("busybox")).parent
        subprocess.run(["cbuild", "-q", "-t", "busybox", "--build-context", f"host={busybox}", DOCS.parent / "examples/busybox"],
                       env=env, check=True)
        subprocess.run(["cbuild", "-q", "-t", "hello", work / "hello"], env=env, check=True)
        tmux = ["tmux", "-S", f"{work}/tmux", "-f", "/dev/null"]
        shell = f"cd {work}/hello && exec bash --noprofile --norc"
        subprocess.run([*tmux, "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), shell], env=env, check=True)
        try:
            for prompts, command in enumerate([r"PS1='\[\e[32m\]$\[\e[0m\] '; clear", *COMMANDS]):
                subprocess.run([*tmux, "send-keys", command, "Enter"], check=True)
                screen = wait_for_prompt(tmux, prompts + 1)
        finally:
            subprocess.run([*tmux, "kill-server"], check=True)
    (DOCS / "terminal.ansi").write_text(screen.rstrip("\n") + "\n")


def spans(screen: str):
    """Row, column, colour and text of each run of text, from SGR sequences; they hold across lines."""
    color, dim, row, column = FOREGROUND, False, 0, 0
    for codes, text in re.findall(r"(?:\x1b\[([\d;]*)m)?([^\x1b]*)", screen):
        for code in re.findall(r"\d+", codes):
            color = FOREGROUND if int(code) in (0, 39) else COLORS.get(int(code), color)
            dim = code == "2" or (dim and code not in ("0", "22"))
        for part in re.findall(r"\n|[^\n]+", text):
            if part == "\n":
                row, column = row + 1, 0
                continue
            yield row, column, DIM if dim else color, part
            column += len(part)


def draw() -> None:
    screen = (DOCS / "terminal.ansi").read_text()
    width, height = round(COLUMNS * CELL) + 2 * MARGIN, (screen.count("\n") + 1) * LINE + 2 * MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{SIZE}">',
           f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>']
    out += [f'<circle cx="{MARGIN + 6 + 18 * i}" cy="{MARGIN + 2}" r="5" fill="{COLORS[n]}"/>' for i, n in enumerate((31, 33, 32))]
    for row, column, color, text in spans(screen):
        text, column = text.rstrip(), column + len(text) - len(text.lstrip())
        text = text.lstrip()
        if text:
            out.append(f'<text x="{MARGIN + column * CELL:.1f}" y="{MARGIN + (row + 2) * LINE}" fill="{color}" '
                       f'textLength="{len(text) * CELL:.1f}" xml:space="preserve">{html.escape(text, quote=False)}</text>')
    (DOCS / "terminal.svg").write_text("\n".join(out) + "\n</svg>\n")


if sys.argv[1:2] == ["record"] and len(sys.argv) == 3:
    record(sys.argv[2])
elif sys.argv[1:] == ["draw"]:
    draw()
else:
    sys.exit(__doc__)
