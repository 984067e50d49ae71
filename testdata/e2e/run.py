#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one end-to-end case: a folder with case.json and the files of its context.

    run.py CBUILD CASE_DIR WORK_DIR

The folder is copied, a store of its own is made, and the steps of case.json run in order:

  {"build": [arguments], "stdin": "file", "exit": 0, "stderr": [regex...], "no_stderr": [regex...], "ran": [...], "cached": [...],
   "env": {"NAME": "value"}}
       runs cbuild with --progress plain; "ran" and "cached" are parts of step names and must match exactly the RUN, COPY, ADD
       and WORKDIR steps ("ran": [] says that nothing ran).
  {"write": {"path": "content"}}, {"chmod": {"path": "755"}}, {"remove": ["path"]}, {"touch": ["path"]}
       change the context.
  {"config": "layout-dir", "is": {...}}        the image config holds this (sub-objects are compared key by key).
  {"tree": "rootfs.tar", "has": [lines], "hasnt": [paths]}
       lines are "type mode uid:gid path[ -> target][ = content]", as list() prints them.
  {"reference": "docker"|"buildah", "layout": "layout-dir", "differs": {field: why}}
       the same context built by a foreign builder (its base is the argument BASE, named "base") gives the same "config" object, except
       for the fields named with a reason.
  {"sh": "script", "exit": 0, "stdout": [regex...]}   a foreign tool's view; $CBUILD, $BASES, $WORK and $ID, a name of this run alone, are set;
       $KIT is the folder of scripts that several cases use.

  {"requests": ["GET /f 200", ...]}   requests to the case's HTTP servers since the last such step, in any order; "only": those that match a regex.

  {"moved": {"down": [least, most], "up": [least, most]}}   bytes of blobs that went from and to the registry since the last such step.
  {"ranges": false}   from now on the registry of the case knows no Range.

"http": true starts two HTTP servers (servers.py) at ${HTTP} and ${HTTP2}, "git_daemon": true a git daemon at ${GIT}, "ssh": true an
ssh server at ${SSH} and an agent with the key to it at the socket ${AGENT}.
"registry": true starts a docker-registry for the case; its address is ${REGISTRY}; "registry_account": "user:password" is its only account; "counted": true
puts a proxy before it that counts bytes; "mirror": true starts a second one at ${MIRROR}. ${CBUILD_ETC} is where the files about registries are
that are in /etc otherwise, none at first. "s3": true starts a service of S3 at ${S3} and "azure": true
one of Azure at ${AZURE} (object_servers.py); "gha": true the cache service of GitHub Actions at ${GHA} (actions_cache.py). ${BASES} in arguments is the folder of base images (OCI layouts: busybox, debian).
"docker": true starts a dockerd whose socket is ${DOCKER_SOCKET}, "podman": true a podman service at ${PODMAN_SOCKET}.
After each build and at the end the image-spec's rules (image_rules.py) are applied to every layout and archive of one in the context, and to
the manifests in the case's registries; "foreign": [patterns] are those that the case makes or breaks itself, "foreign_pushes": true: also in registries.
Lines of an "sh" step's output that begin with "left out: " are shown: what this machine or an engine on it cannot do.
"as_user": true runs the whole case as an ordinary user. After the last step no mount, process or temporary file of the case may be left.
"""
import contextlib
import fnmatch
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile

import actions_cache
import bases
import object_servers
import reference
import servers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import image_rules  # noqa: E402
import support  # noqa: E402
from support import Failure, check, read_config  # noqa: E402


KIT = pathlib.Path(__file__).resolve().parent / "kit"


def listing(archive):
    """The entries of a tar as comparable lines by path."""
    kinds = {tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h", tarfile.CHRTYPE: "c", tarfile.FIFOTYPE: "p"}
    lines = {}
    with tarfile.open(archive) as tar:
        for m in tar:
            line = f"{kinds.get(m.type, 'f')} {m.mode:04o} {m.uid}:{m.gid} {m.name}"
            if m.issym() or m.islnk():
                line += f" -> {m.linkname}"
            lines[m.name] = (line, tar.extractfile(m).read().decode(errors="replace") if m.isreg() and m.size < 4096 else None)
    return lines


def subset(want, have, where=""):
    if isinstance(want, dict):
        check(isinstance(have, dict), f"{where}: {have!r} is not an object")
        for key, value in want.items():
            if value is None:
                check(key not in have or have[key] is None, f"{where}.{key}: should be absent, is {have.get(key)!r}")
            else:
                check(key in have, f"{where}.{key}: missing in {json.dumps(have)}")
                subset(value, have[key], f"{where}.{key}")
    else:
        check(want == have, f"{where}: expected {want!r}, found {have!r}")


class Case:
    def __init__(self, cbuild, folder, work):
        self.spec = json.loads((folder / "case.json").read_text())
        self.work = work
        self.context = work / "context"
        shutil.copytree(folder, self.context, symlinks=True)
        self.store = work / "store"
        bases_dir = support.make_bases(self.spec.get("bases", []))
        self.names = {"CBUILD": str(cbuild), "BASES": str(bases_dir), "WORK": str(work), "KIT": str(KIT), "CBUILD_ROOT": str(self.store), "ID": work.name,
                      "CBUILD_ETC": str(work / "etc")}
        self.user = bases.test_user() if self.spec.get("as_user") else None
        if self.user:
            for path in [work, *work.rglob("*")]:
                os.lchown(path, self.user.pw_uid, self.user.pw_gid)

    @contextlib.contextmanager
    def services(self):
        with contextlib.ExitStack() as stack:
            if self.spec.get("registry"):
                address = stack.enter_context(reference.registry(self.work, self.spec.get("registry_account")))
                self.counter = stack.enter_context(servers.blob_counter(address))
                self.names["REGISTRY"] = f"127.0.0.1:{self.counter.server_address[1]}" if self.spec.get("counted") else address
            if self.spec.get("mirror"):
                (self.work / "mirror").mkdir()
                self.names["MIRROR"] = stack.enter_context(reference.registry(self.work / "mirror"))
            if self.spec.get("docker"):
                stack.enter_context(reference.dockerd(self.work))
                self.names["DOCKER_SOCKET"] = str(self.work / "docker" / "sock")
            if self.spec.get("podman"):
                self.names["PODMAN_SOCKET"] = str(stack.enter_context(reference.podman_service(self.work)))
            if self.spec.get("s3"):
                self.names["S3"] = stack.enter_context(object_servers.s3(self.work, self.work.parent / "tools"))
            if self.spec.get("azure"):
                self.names["AZURE"] = stack.enter_context(object_servers.azure(self.work, self.work.parent / "tools"))
            if self.spec.get("gha"):
                storage = stack.enter_context(object_servers.azure(self.work, self.work.parent / "tools"))
                self.names["GHA"] = stack.enter_context(actions_cache.serve(storage))
                for name, given in (("MAIN", "main"), ("TOPIC", "topic")):
                    self.names[f"GHA_TOKEN_{name}"] = actions_cache.token(given)
                self.names["GHA_TOKEN_WRONG"] = actions_cache.token("main", 3_999_999_999)
            if self.spec.get("http"):
                self.http = stack.enter_context(servers.http_servers(self.context))
                for name, server in zip(("HTTP", "HTTP2"), self.http):
                    self.names[name] = f"http://127.0.0.1:{server.port}"
            if self.spec.get("git_daemon"):
                (self.context / "repos").mkdir(exist_ok=True)
                self.names["GIT"] = f"git://127.0.0.1:{stack.enter_context(servers.git_daemon(self.context / 'repos'))}"
            if self.spec.get("ssh"):
                port, agent = stack.enter_context(servers.ssh_server(self.work / "ssh"))
                self.names["AGENT"] = str(agent)
                self.names["SSH"] = f"ssh://root@127.0.0.1:{port}"
            yield

    def command(self, argv, names):
        if self.user:
            return ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--init-groups", "--reset-env", "env",
                    *[f"{k}={v}" for k, v in names.items()], *argv]
        return argv

    def run(self, argv, stdin=os.devnull, variables=None, **more):
        names = {**self.names, **(variables or {})}
        env = {**os.environ, **names}
        with open(self.context / stdin, "rb") as source:
            return subprocess.run(self.command(argv, names), cwd=self.context, env=env, stdin=source, capture_output=True, text=True,
                                  errors="replace", timeout=self.spec.get("timeout", 600), **more)

    def expand(self, text):
        for key, value in self.names.items():
            text = text.replace("${%s}" % key, value)
        return text

    def build(self, step):
        argv = [self.names["CBUILD"], "--progress", "plain", *[self.expand(a) for a in step["build"]]]
        done = self.run(argv, self.expand(step.get("stdin", os.devnull)), {k: self.expand(v) for k, v in step.get("env", {}).items()})
        shown = f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}"
        check(done.returncode == step.get("exit", 0), f"exit code {done.returncode}, expected {step.get('exit', 0)}\n{shown}")
        for pattern in step.get("stderr", []):
            check(re.search(self.expand(pattern), done.stderr, re.M), f"no /{pattern}/ in\n{shown}")
        for pattern in step.get("no_stderr", []):
            check(not re.search(pattern, done.stderr, re.M), f"/{pattern}/ in\n{shown}")
        self.check_steps(step, done.stderr, shown)
        self.check_images(dest for word in argv for dest in re.findall(r"type=(?:oci|docker)\b.*\bdest=([^,]+)", word))

    def check_images(self, names):
        """What a build has written just now."""
        foreign = self.spec.get("foreign", [])
        for name in names:
            place = self.context / name
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in foreign):
                look = image_rules.layout_problems if (place / "oci-layout").is_file() else image_rules.archive_problems
                problems = look(place) if place.is_dir() or place.is_file() else None
                check(not problems, f"{name}: " + "\n".join(problems or []))

    def check_all_images(self):
        problems = image_rules.problems_below(self.context, self.spec.get("foreign", []))
        for root in () if self.spec.get("foreign_pushes") else (self.work / "registry", self.work / "mirror/registry"):
            problems += [f"{root.name}: {problem}" for problem in image_rules.registry_problems(root)]
        check(not problems, "\n".join(problems))

    def check_steps(self, step, stderr, shown):
        for key, have in zip(("ran", "cached"), support.steps(stderr)):
            if key not in step:
                continue
            rest = list(have)
            for want in step[key]:
                match = next((s for s in rest if want in s), None)
                check(match is not None, f"{key}: no step with {want!r} in {have}\n{shown}")
                rest.remove(match)
            check(not rest, f"{key}: unexpected {rest}\n{shown}")

    def change(self, step):
        for path, text in step.get("write", {}).items():
            (self.context / path).parent.mkdir(parents=True, exist_ok=True)
            (self.context / path).write_text(self.expand(text))
        for path, mode in step.get("chmod", {}).items():
            (self.context / path).chmod(int(mode, 8))
        for path in step.get("remove", []):
            target = self.context / path
            shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
        for path in step.get("touch", []):
            os.utime(self.context / path)

    def tree(self, step):
        lines = listing(self.context / step["tree"])
        for want in step.get("has", []):
            line, _, content = want.partition(" = ")
            name = line.split(" ", 3)[3].split(" -> ")[0]
            check(name in lines, f"{name} is not in {step['tree']}: {sorted(lines)[:50]}")
            check(lines[name][0] == line, f"expected {line!r}, found {lines[name][0]!r}")
            if content:
                check(lines[name][1] == json.loads(content), f"{name}: expected {content}, found {lines[name][1]!r}")
        for path in step.get("hasnt", []):
            check(path not in lines, f"{path} is in {step['tree']}")

    def shell(self, step):
        done = self.run(["bash", "-euo", "pipefail", "-c", step["sh"]])
        shown = f"$ {step['sh']}\n{done.stdout}{done.stderr}"
        check(done.returncode == step.get("exit", 0), f"exit code {done.returncode}\n{shown}")
        for pattern in step.get("stdout", []):
            check(re.search(pattern, done.stdout, re.M), f"no /{pattern}/ in\n{shown}")
        for line in done.stdout.splitlines():
            if line.startswith("left out: "):
                print(f"{self.work.name}: {line}")

    def requests(self, step):
        seen = [line for server in self.http for line in server.take_log() if re.search(step.get("only", ""), line)]
        rest = list(seen)
        for want in step["requests"]:
            match = want if want in rest else None
            check(match is not None, f"no request {want!r} in {seen}")
            rest.remove(match)
        check(not rest, f"unexpected requests {rest}")

    def moved(self, step):
        for way, size in self.counter.take().items():
            least, most = step["moved"][way]
            check(least <= size <= most, f"{size} bytes of blobs went {way}, expected {least} to {most}")

    def step(self, step):
        if "build" in step:
            self.build(step)
        elif "config" in step:
            subset(step["is"], read_config(self.context / step["config"]), "config")
        elif "tree" in step:
            self.tree(step)
        elif "reference" in step:
            self.compare(step)
        elif "requests" in step:
            self.requests(step)
        elif "moved" in step:
            self.moved(step)
        elif "ranges" in step:
            self.counter.ranges = step["ranges"]
        elif "sh" in step:
            self.shell(step)
        else:
            self.change(step)

    def compare(self, step):
        build = {"docker": reference.docker_config, "buildah": reference.buildah_config}[step["reference"]]
        scratch = self.work / step["reference"]
        scratch.mkdir()
        theirs = build(self.context, pathlib.Path(self.names["BASES"]) / "busybox", scratch)["config"]
        ours = read_config(self.context / step["layout"])["config"]
        # Fields that Docker's own formats add and the image-spec does not know.
        unknown = {"Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "Image"}
        problems = []
        for field in sorted((set(ours) | set(theirs)) - unknown):
            mine, other = ours.get(field) or None, theirs.get(field) or None
            if (mine == other) == (field in step.get("differs", {})):
                problems.append(f"{field}: {mine!r}, {step['reference']} has {other!r}")
        check(not problems, "\n".join(problems))
        shutil.rmtree(scratch, ignore_errors=True)

    def leftovers(self):
        left = mounts_below(self.work)
        check(not left, f"mounts left: {left}")
        tmp = self.store / "tmp"
        left = os.listdir(tmp) if tmp.is_dir() else []
        check(not left, f"left in the store's tmp: {left}")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            except OSError:
                continue
            check(int(pid) == os.getpid() or f"CBUILD_ROOT={self.store}".encode() not in environment.split(b"\0"),
                  f"process {pid} left")


def mounts_below(work):
    with open("/proc/self/mountinfo") as mounts:
        return [line.split()[4] for line in mounts if str(work) in line][::-1]


def main():
    support.private_mounts()
    cbuild, folder, work_root = (pathlib.Path(p).resolve() for p in sys.argv[1:4])
    work_root.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix=folder.name + "-", dir=work_root))
    work.chmod(0o755)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        case = Case(cbuild, folder, work)
        with case.services():
            for number, step in enumerate(case.spec["steps"], 1):
                try:
                    case.step(step)
                except (Failure, RuntimeError) as failure:
                    print(f"{folder.name}: step {number}: {failure}")
                    return 1
            case.check_all_images()
        case.leftovers()
    except Failure as failure:
        print(f"{folder.name}: {failure}")
        return 1
    except object_servers.CannotRun as lack:
        print(f"{folder.name}: SKIPPED: {lack}")
        return 1 if os.environ.get("CI") else 77
    finally:
        for mount in mounts_below(work):
            subprocess.run(["umount", mount], check=False)
        shutil.rmtree(work, ignore_errors=True)
    print(f"{folder.name}: {len(case.spec['steps'])} steps ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
