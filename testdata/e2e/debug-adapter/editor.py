#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""editor.py CBUILD WORDS...: debugs the build of this directory as an editor would, and checks the answers."""
import json
import pathlib
import subprocess
import sys


class Editor:
    def __init__(self, words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seq, self.events = 0, []

    def receive(self):
        length = 0
        while line := self.process.stdout.readline().strip():
            length = int(line.split(b":")[1])
        return json.loads(self.process.stdout.read(length))

    def ask(self, command, fails=False, **arguments):
        self.seq += 1
        text = json.dumps({"seq": self.seq, "type": "request", "command": command, "arguments": arguments})
        self.process.stdin.write(f"Content-Length: {len(text)}\r\n\r\n{text}".encode())
        self.process.stdin.flush()
        while (message := self.receive())["type"] == "event":
            self.events.append(message)
        assert message["request_seq"] == self.seq and message["success"] is not fails, message
        return message.get("body", {})

    def wait(self, event):
        while True:
            for i, message in enumerate(self.events):
                if message["event"] == event:
                    del self.events[: i + 1]
                    return message["body"]
            message = self.receive()
            assert message["type"] == "event", message
            self.events.append(message)

    def variables(self, reference):
        return {v["name"]: v for v in self.ask("variables", variablesReference=reference)["variables"]}

    def scope(self, name):
        frame = self.ask("stackTrace", threadId=1)["stackFrames"][0]
        scopes = self.ask("scopes", frameId=frame["id"])["scopes"]
        return frame, self.variables(next(s for s in scopes if s["name"] == name)["variablesReference"])

    def files(self):
        _, roots = self.scope("File Explorer")
        return self.variables(roots["/"]["variablesReference"])

    def end(self, code):
        self.wait("terminated")
        assert self.wait("exited")["exitCode"] == code
        assert self.process.wait(timeout=60) == code


def start(words, lines, **launch):
    editor = Editor(words)
    assert editor.ask("initialize", adapterID="test")["supportsConfigurationDoneRequest"]
    editor.ask("launch", **launch)
    editor.wait("initialized")
    source = str(pathlib.Path(launch.get("dockerfile", "Dockerfile")).absolute())
    found = editor.ask("setBreakpoints", source={"path": source}, breakpoints=[{"line": line} for line in lines])
    assert [b["line"] for b in found["breakpoints"]] == lines
    assert editor.ask("threads")["threads"] == [{"id": 1, "name": "build"}]
    editor.ask("configurationDone")
    return editor


def stops(words):
    editor = start(words, [5, 8])
    assert editor.wait("stopped")["reason"] == "breakpoint"
    frame, arguments = editor.scope("Arguments")
    assert (frame["line"], frame["endLine"]) == (4, 5) and frame["source"]["name"] == "Dockerfile", frame
    run = editor.variables(arguments["exec"]["variablesReference"])
    environment = editor.variables(run["env"]["variablesReference"])
    assert environment["GREETING"]["value"] == "hello", environment
    assert "echo two" in editor.variables(run["args"]["variablesReference"])["2"]["value"]
    files = editor.files()
    assert "one" in files and "two" not in files, sorted(files)
    assert editor.variables(files["one"]["variablesReference"])["data"]["value"] == "one\n"
    assert "sh" in editor.variables(files["bin/"]["variablesReference"])
    assert editor.ask("evaluate", expression="exec cat /one; id -u", context="repl")["result"] == "one\n0\n"
    assert [f["line"] for f in editor.ask("stackTrace", threadId=1)["stackFrames"]] == [4, 3, 1]
    editor.ask("scopes", fails=True, frameId="x")
    editor.ask("nonsense", fails=True)
    editor.ask("next", threadId=1)
    assert editor.wait("stopped")["reason"] == "step"
    files = editor.files()
    assert "two" in files and "one" not in files, sorted(files)
    editor.ask("continue", threadId=1)
    assert editor.wait("stopped")["reason"] == "breakpoint"
    assert editor.scope("Arguments")[0]["line"] == 8
    assert editor.ask("evaluate", expression="id -u; pwd", context="repl")["result"] == "1000\n/tmp\n"
    editor.ask("continue", threadId=1)
    editor.end(0)


def stops_at_entry(words):
    editor = start(words, [], target="work", stopOnEntry=True)
    assert editor.wait("stopped")["reason"] == "step"
    assert editor.scope("Arguments")[0]["line"] == 1
    editor.ask("disconnect")
    assert editor.process.wait(timeout=60) == 130


def stops_at_failure(words):
    editor = start(words, [], dockerfile="fails.Dockerfile")
    assert editor.wait("stopped")["reason"] == "exception"
    assert editor.variables(editor.files()["left"]["variablesReference"])["data"]["value"] == "left\n"
    editor.ask("continue", threadId=1)
    editor.end(1)


def leaves(words):
    for text in (b"", b"garbage\r\n\r\n", b"Content-Length: 99999999999\r\n\r\n", b"Content-Length: 2\r\n\r\n[]"):
        assert subprocess.run(words, input=text, timeout=60).returncode == 130, text


for case in (stops, stops_at_entry, stops_at_failure, leaves):
    case(sys.argv[1:])
print("all as expected")
