# SPDX-License-Identifier: Apache-2.0
"""Builds a case with cbuild or with a reference and gives the result: an image, or a refusal with its line."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading

# Flags of the build that become options of the frontend when buildctl is the client.
FRONTEND_OPTIONS = {"--build-arg": "build-arg:", "--label": "label:", "--target": "target=", "--platform": "platform=",
                    "--network": "force-network-mode=", "--add-host": "add-hosts=", "--shm-size": "shm-size=", "--ulimit": "ulimit=",
                    "--no-cache-filter": "no-cache=", "-f": "filename=", "--cgroup-parent": "cgroup-parent="}
TIMEOUT = 300


def flag_pairs(args):
    """[--flag, value], [--flag=value] and flags without a value, as (flag, value or None)."""
    out, rest = [], list(args)
    while rest:
        flag = rest.pop(0)
        flag, equals, value = flag.partition("=") if flag.startswith("--") else (flag, "", "")
        if flag in ("--no-cache", "--pull"):
            out.append((flag, None))
        else:
            out.append((flag, value if equals else rest.pop(0)))
    return out


def run(argv, context, env=None):
    return subprocess.run([str(a) for a in argv], cwd=context, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", timeout=TIMEOUT)


class Refused(Exception):
    """The builder rejected the file or a step failed."""

    def __init__(self, text, line, log):
        super().__init__(text)
        self.text, self.line, self.log = text, line, log


class Cbuild:
    """The program under test."""

    def __init__(self, program, base, work):
        self.program, self.base, self.store = program, base, work / "store"

    def build(self, context, args, bases, out, dockerfile=None):
        argv = [self.program, "--root", self.store, "--progress", "plain", *args]
        for name, layout in {"base": self.base, **bases}.items():
            argv += ["--build-context", f"{name}=oci-layout://{layout}"]
        if dockerfile:
            argv += ["-f", dockerfile]
        done = run([*argv, "-o", f"type=oci,tar=false,compression=uncompressed,dest={out}", context], context)
        if done.returncode not in (0, 1, 2):
            raise RuntimeError(f"exit code {done.returncode}\n{done.stderr}")
        if done.returncode != 0:
            raise Refused(done.stderr, cbuild_line(done.stderr), done.stderr)
        return done.stderr

    @staticmethod
    def read(reader, out):
        return reader.layout(out)


def cbuild_line(stderr):
    found = re.search(r"^(?:ERROR: )?\S*?[Dd]ockerfile\S*?:(\d+)(?::\d+: error|: |$)", stderr, re.M)
    return int(found.group(1)) if found else None


class Buildkit:
    """A buildkitd on a socket, driven by the buildctl on PATH."""

    def __init__(self, address, base):
        self.address, self.base = address, base

    def build(self, context, args, bases, out, dockerfile=None):
        argv = ["buildctl", "--addr", self.address, "build", "--progress=plain", "--frontend", "dockerfile.v0",
                "--local", f"context={context}", "--local", f"dockerfile={pathlib.Path(dockerfile).parent if dockerfile else context}"]
        if dockerfile:
            argv += ["--opt", f"filename={pathlib.Path(dockerfile).name}"]
        for name, layout in {"base": self.base, **bases}.items():
            argv += ["--oci-layout", f"{name}={layout}", "--opt", f"context:{name}=oci-layout://{name}@{layout_digest(layout)}"]
        for flag, value in joined(flag_pairs(args)):
            argv += buildctl_flags(flag, value, context)
        done = run([*argv, "--output", f"type=oci,tar=false,compression=uncompressed,force-compression=true,dest={out}"], context)
        if done.returncode != 0:
            raise Refused(*buildctl_error(done.stderr), done.stderr)
        return done.stderr

    @staticmethod
    def read(reader, out):
        return reader.layout(out)


def joined(pairs):
    """Options that the frontend takes as one list."""
    out = []
    for flag, value in pairs:
        if flag == "--add-host":
            value = value.replace(":", "=", 1) if "=" not in value else value
        known = next((i for i, (f, _) in enumerate(out) if f == flag and flag in ("--add-host", "--ulimit")), None)
        if known is None:
            out.append((flag, value))
        else:
            out[known] = (flag, f"{out[known][1]},{value}")
    return out


def layout_digest(layout):
    return json.loads((pathlib.Path(layout) / "index.json").read_text())["manifests"][0]["digest"]


def buildctl_flags(flag, value, context):
    if flag == "--build-context":
        name, _, source = value.partition("=")
        if "://" in source:
            return ["--opt", f"context:{name}={source}"]
        return ["--local", f"{name}={context / source}", "--opt", f"context:{name}=local:{name}"]
    if flag == "--shm-size" and not value.isdigit():
        value = str(int(value[:-1]) << {"k": 10, "m": 20, "g": 30}[value[-1]])
    if flag in FRONTEND_OPTIONS:
        return ["--opt", FRONTEND_OPTIONS[flag] + (value or "")]
    return [flag] if value is None else [flag, value]


def buildctl_error(stderr):
    text = next((line for line in reversed(stderr.splitlines()) if line.startswith("error: ")), stderr[-500:])
    text = re.sub(r"^error: (failed to solve: )?", "", text)
    text = re.sub(r"(ref|vertex) [0-9a-z:]{20,}", r"\1 ...", text)
    line = re.search(r"^\S*?[Dd]ockerfile\S*?:(\d+)$", stderr, re.M)
    return text, int(line.group(1)) if line else None


class Docker:
    """A dockerd with its old BuildKit; the environment says where it is."""

    def __init__(self, env, base, work):
        self.env = env
        self.images = work / "docker/data/image/overlay2/imagedb/content/sha256"
        self.names = threading.Lock()  # an image's name is known to all cases
        archive = work / "base.tar"
        subprocess.run(["skopeo", "copy", "-q", f"oci:{base}:latest", f"docker-archive:{archive}:base:latest"], check=True)
        subprocess.run(["/usr/bin/docker", "load", "-q", "-i", archive], env=env, check=True, capture_output=True)

    def build(self, context, args, bases, out, dockerfile=None):
        name = out.name.lower().replace("_", "-")
        argv = ["/usr/bin/docker", "build", "--progress=plain", "--network=host", *args, "-t", name]
        if dockerfile:
            argv += ["-f", dockerfile]
        done = run([*argv, context], context, self.env)
        if "Docker daemon" in done.stderr:
            raise RuntimeError("dockerd has ended")
        if done.returncode != 0:
            line = re.search(r"^\S*?[Dd]ockerfile\S*?:(\d+)$", done.stderr, re.M)
            raise Refused(done.stderr.strip().splitlines()[-1], int(line.group(1)) if line else None, done.stderr)
        out.mkdir()
        about = [subprocess.run(["/usr/bin/docker", "image", "inspect", "-f", what, name], env=self.env, check=True, capture_output=True,
                                text=True).stdout.strip() for what in ("{{len .RootFS.Layers}}", "{{.Id}}")]
        if about[0] == "0":
            self.save_without_layers(about[1].removeprefix("sha256:"), out)
            return done.stderr
        saved = subprocess.run(["/usr/bin/docker", "save", name], env=self.env, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", out], input=saved, check=True)
        return done.stderr

    def save_without_layers(self, config, out):
        """Does by hand what `docker save` refuses."""
        shutil.copy(self.images / config, out / "config.json")
        (out / "manifest.json").write_text(json.dumps([{"Config": "config.json", "Layers": []}]))

    @staticmethod
    def read(reader, out):
        return reader.docker_archive(out)


def of_context(line):
    """The time of a file of a context is shown as such: a file taken from the cache may come from the context of another case."""
    import cases
    found = re.search(r" @(\d+)$", line)
    own = found and cases.FIRST_TIME <= int(found.group(1)) < cases.FIRST_TIME + cases.TIMES
    return line[:found.start()] + " @context" if own else line


def build_case(case, builder, reader, work: pathlib.Path):
    """The result of `builder` for the case: a description of the image or {"error", "line"}; and its log."""
    import cases
    context = work / "context"
    alone = builder.names if isinstance(builder, Docker) and case.bases() else contextlib.nullcontext()
    try:
        cases.write_context(case, context)
        bases = {}
        with alone:
            for part in case.bases():
                name = part.words[0]
                folder = work / f"base-{name}"
                folder.mkdir()
                (folder / "Dockerfile").write_text(part.text)
                bases[name] = work / name
                builder.build(folder, part.words[1:], {k: v for k, v in bases.items() if k != name}, bases[name])
            out = work / f"{case.topic}.{case.name}"
            log = builder.build(context, case.args, bases, out)
        result = builder.read(reader, out)
        result["tree"] = {path: line and of_context(line) for path, line in result["tree"].items()}
        return result, log
    except Refused as refused:
        return {"error": refused.text, "line": refused.line}, refused.log
    finally:
        shutil.rmtree(work, ignore_errors=True)
