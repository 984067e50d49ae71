#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""page.py FILE: what a browser has made of the page of a build, as JSON: title, timeline, nodes of the graph, steps, texts,
and anything that it complained about."""
import html.parser
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


class Page(html.parser.HTMLParser):
    """The rows of the timeline, the nodes and edges of the graph, the steps, the ids of all elements, and the text."""

    def __init__(self):
        super().__init__()
        self.ids, self.labels, self.open_steps, self.texts = set(), 0, 0, []
        self.nodes = self.edges = self.critical_edges = self.bars = self.steps = 0
        self.quiet = False
        self.title = ""
        self.last = ""

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        classes = (values.get("class") or "").split()
        self.last = tag
        self.ids.add(values.get("id"))
        self.quiet = tag in ("script", "style")
        self.labels += tag == "a" and "label" in classes
        self.bars += "bar" in classes and "wait" not in classes
        self.nodes += "node" in classes
        self.steps += "step" in classes
        self.open_steps += "step" in classes and "open" in values
        self.edges += tag == "path"
        self.critical_edges += tag == "path" and "critical" in classes

    def handle_endtag(self, tag):
        self.quiet = False

    def handle_data(self, data):
        if self.last == "title" and not self.title:
            self.title = data
        if not self.quiet:
            self.texts.append(data)


file = pathlib.Path(sys.argv[1]).resolve()
with tempfile.TemporaryDirectory() as profile:
    browser = [shutil.which("chromium") or "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               "--no-first-run", f"--user-data-dir={profile}", "--enable-logging=stderr", "--virtual-time-budget=3000"]
    done = subprocess.run(browser + ["--dump-dom", file.as_uri() + "".join(sys.argv[2:])], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "HOME": profile})
if done.returncode != 0 or "<html" not in done.stdout:
    sys.exit(f"chromium: {done.returncode}\n{done.stderr[-2000:]}")
page = Page()
page.feed(done.stdout)
text = "".join(page.texts)
print(json.dumps({
    "title": page.title, "labels": page.labels, "bars": page.bars, "nodes": page.nodes, "edges": page.edges,
    "critical": page.critical_edges > 0, "steps": page.steps, "open": page.open_steps, "planted": "planted" in page.ids,
    "complaints": [line for line in done.stderr.splitlines() if "CONSOLE" in line]}))
print(text)
