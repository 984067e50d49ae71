#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tries to get out of a build, in every mode of the sandbox, and looks at what the attempts did to the machine.

    run.py CBUILD WORK_DIR [ATTEMPT...]

An attempt is a Dockerfile in attempts/. Its first comments say how it is run:

    # class: the kind of fault, with an example of it in other builders
    # says: a regex that the output must have, which shows that the attempt was made (one or several lines)
    # exit: 0, or the other codes that it may end with (default 0)
    # options: further arguments of cbuild
    # base: a base of hostile_bases() (default: busybox)
    # modes: isolated, if the way leads through what only namespaces keep apart
    # repeat: 3-20, once for each value of the build argument N
    # caught: true, for one that does get out, with the user's leave: the runner must notice

GUARD is a directory of the host that everybody may read, with a secret, and a directory in which everybody may write. After each attempt it must
be as it was, and neither the output nor the image may hold the secret or the word ESCAPED, which attacker.c prints. In the context lie the
programs of attacker.c and loader.c, archives that reach out of where they are unpacked, and links to GUARD.
"""
import io
import json
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import support  # noqa: E402
import bases  # noqa: E402
from support import Failure, check  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
SECRET = "a word that only the host knows"
LEAVES = re.compile(r"ESCAPED|" + re.escape(SECRET))


def entry(name, kind=tarfile.REGTYPE, content=b"", link="", mode=0o644, device=(0, 0)):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mode = kind, len(content), link, mode
    info.devmajor, info.devminor = device
    return info, content


def archive(path, entries):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))


def file(name, content=b"by the attacker\n"):
    return entry(name, content=content)


def link(name, to):
    return entry(name, tarfile.SYMTYPE, link=to, mode=0o777)


def hard_link(name, to):
    return entry(name, tarfile.LNKTYPE, link=to)


def hostile_archives(guard):
    """By name: the entries of archives whose unpacking would reach GUARD if names were followed."""
    up = "../" * 12 + str(guard).lstrip("/")
    return {
        "dots": [file(f"{up}/open/by-attacker")],
        "absolute": [file(f"{guard}/open/by-attacker")],
        "link-then-file": [link("way", str(guard)), file("way/open/by-attacker"), file("way/victim")],
        "link-by-steps": [link("a", "b"), link("b", up), file("a/open/by-attacker")],
        "hard-link": [hard_link("stolen", f"{guard}/secret")],
        "hard-link-up": [hard_link("stolen", f"{up}/secret")],
        "hard-link-through": [link("way", str(guard)), hard_link("stolen", "way/secret")],
        "link-over-directory": [entry("d", tarfile.DIRTYPE, mode=0o755), link("d", str(guard)), file("d/open/by-attacker")],
        "whiteout": [link("way", str(guard)), file("way/.wh.victim", b""), file("way/open/.wh..wh..opq", b"")],
        "whiteout-dots": [file(".wh...", b""), file("x/.wh..", b"")],
        "mode-through": [link("way", f"{guard}/victim"), entry("way", tarfile.REGTYPE, b"changed", mode=0o4777)],
        "root-itself": [link(".", str(guard)), file("open/by-attacker")],
    }


def hostile_bases(guard):
    """By name: the entries of the one layer of a base image, above busybox."""
    users = f"root:x:0:0::{guard}:/bin/sh\n".encode()
    return {
        "links": [link("way", str(guard)), link("etc-way", f"{guard}/open"), link("file-way", f"{guard}/victim"), link("dots", "../" * 12 + str(guard)[1:]),
                  entry("real/sub", tarfile.DIRTYPE, mode=0o777)],
        "system-links": [link("dev", str(guard)), link("proc", f"{guard}/open"), link("sys", f"{guard}/open"), link("etc", f"{guard}/open")],
        "users": [link("etc/passwd", f"{guard}/secret"), link("etc/group", f"{guard}/victim")],
        "pipe-users": [entry("etc/passwd", tarfile.FIFOTYPE)],
        "endless-users": [link("etc/passwd", "/dev/zero")],
        "home": [file("etc/passwd", users)],
    }


def make_base(folder, name, entries):
    """An OCI layout: busybox, and one more layer that no check of an archive has seen."""
    layout = folder / name
    shutil.copytree(support.base_layout(), layout)
    index = json.loads((layout / "index.json").read_text())

    def path(digest):
        return layout / "blobs" / digest.replace(":", "/")

    def put(content):
        digest = hashlib.sha256(content).hexdigest()
        (layout / "blobs/sha256" / digest).write_bytes(content)
        return "sha256:" + digest, len(content)
    manifest = json.loads(path(index["manifests"][0]["digest"]).read_bytes())
    config = json.loads(path(manifest["config"]["digest"]).read_bytes())
    archive(folder / "layer.tar", [found for found in entries if found[0].name != "."])
    digest, size = put((folder / "layer.tar").read_bytes())
    config["rootfs"]["diff_ids"].append(digest)
    config["history"].append({"created_by": name})
    manifest["layers"].append({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size})
    manifest["config"]["digest"], manifest["config"]["size"] = put(json.dumps(config).encode())
    index["manifests"][0]["digest"], index["manifests"][0]["size"] = put(json.dumps(manifest).encode())
    (layout / "index.json").write_text(json.dumps(index))


def snapshot(guard):
    """Everything that can be seen of the guarded directory, but for the times of reading."""
    seen = {}
    for place in [guard, *sorted(guard.rglob("*"))]:
        info = place.lstat()
        content = place.read_bytes() if place.is_file() and not place.is_symlink() else b""
        seen[str(place)] = (info.st_mode, info.st_uid, info.st_gid, info.st_nlink, info.st_mtime_ns, content)
    return seen


class World:
    """The machine of the attempts: the guarded directory, the context, the bases, a copy of the program."""

    def __init__(self, work, cbuild):
        self.work = work
        self.guard = work / "guard"
        (self.guard / "open").mkdir(parents=True)
        (self.guard / "open").chmod(0o777)
        (self.guard / "deep/empty").mkdir(parents=True)
        (self.guard / "deep/victim").write_text("")
        for name, content in (("secret", SECRET), ("victim", "untouched")):
            (self.guard / name).write_text(content)
        (self.guard / "victim").chmod(0o666)
        self.cbuild = work / "cbuild"
        shutil.copy(cbuild, self.cbuild)
        self.context = work / "context"
        self.make_context()
        (work / "bases").mkdir()
        shutil.copytree(support.base_layout(), work / "bases/busybox")
        for name, entries in {**hostile_bases(self.guard), **hostile_archives(self.guard)}.items():
            make_base(work / "bases", name, entries)

    def make_context(self):
        self.context.mkdir()
        for name, flags in (("attacker", ["-static"]), ("loader", ["-nostdlib", "-static-pie", "-fPIE", "-fno-stack-protector"])):
            subprocess.run(["cc", "-O1", *flags, "-o", self.context / name, HERE / f"{name}.c"], check=True)
        for name, entries in hostile_archives(self.guard).items():
            archive(self.context / f"{name}.tar", entries)
        (self.context / "file").write_text("by the attacker\n")
        (self.context / "way").symlink_to(self.guard)
        (self.context / "secret-way").symlink_to(self.guard / "secret")
        (self.context / "dots").symlink_to("../" * 12 + str(self.guard)[1:])
        shutil.copy(self.guard / "secret", self.context / "given")

    def state(self):
        return snapshot(self.guard), hashlib.sha256(self.cbuild.read_bytes()).hexdigest()


class Attempt:
    def __init__(self, path):
        self.path, self.name = path, path.name.removesuffix(".Dockerfile")
        self.notes = {}
        for line in path.read_text().splitlines():
            found = re.match(r"# (\w+): (.*)", line)
            if not found:
                break
            self.notes.setdefault(found.group(1), []).append(found.group(2))
        unknown = set(self.notes) - {"class", "says", "exit", "options", "base", "modes", "repeat", "caught"}
        check(not unknown and "class" in self.notes and "says" in self.notes, f"{path}: wrong notes {unknown}")

    def note(self, name, default=""):
        return self.notes.get(name, [default])[0]

    def values(self):
        first, _, last = self.note("repeat", "0").partition("-")
        return range(int(first), int(last or first) + 1)


def builds(world, mode, attempt, value, out):
    options = [option.replace("$GUARD", str(world.guard)) for option in shlex.split(attempt.note("options"))]
    return [*mode["command"], str(world.cbuild), "build", "--progress", "plain", "--root", str(mode["store"]), *mode.get("arguments", []),
            "--no-cache", "--build-arg", f"GUARD={world.guard}", "--build-arg", f"N={value}",
            "--build-context", f"base=oci-layout://{world.work}/bases/{attempt.note('base', 'busybox')}",
            "-f", str(attempt.path), "-o", f"type=tar,dest={out}", *options, str(world.context)]


def leaks(said, out):
    if found := LEAVES.search(said):
        return f"said: {said[max(0, found.start() - 100):found.end() + 100]}"
    if out.exists() and SECRET.encode() in out.read_bytes():
        return "the image holds the secret"
    return ""


def run_once(world, mode, attempt, value):
    out = mode["out"] / "image.tar"
    out.unlink(missing_ok=True)
    before = world.state()
    done = subprocess.run(builds(world, mode, attempt, value, out), capture_output=True, text=True, errors="replace", timeout=120,
                          env={**os.environ, "CANARY": SECRET}, cwd=world.work)
    said = done.stdout + done.stderr
    found = "the guarded directory or the program has changed" if world.state() != before else leaks(said, out)
    if attempt.note("caught"):
        check(found, "the runner does not notice what got out")
    else:
        check(not found, f"{found}\n{said}")
    for pattern in attempt.notes["says"]:
        check(re.search(pattern, said), f"does not say {pattern}: exit {done.returncode}\n{said}")
    check(str(done.returncode) in attempt.note("exit", "0").split(), f"exit {done.returncode}\n{said}")


def modes(world):
    """How cbuild is started in each mode. A copied root is made where the store lies on an overlay."""
    user = bases.test_user()
    as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "env", f"HOME={world.work}/user"]
    stacked = world.work / "stacked"
    for part in ("l", "u", "w", "m"):
        (stacked / part).mkdir(parents=True)
    subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={stacked}/l,upperdir={stacked}/u,workdir={stacked}/w", "overlay", stacked / "m"],
                   check=True)
    found = [{"name": "root", "command": []},
             {"name": "copied-root", "command": [], "store": stacked / "m/store"},
             {"name": "user-namespace", "command": as_user},
             {"name": "masked-proc", "command": as_user, "arguments": ["--isolation", "masked-proc"], "isolated": False},
             {"name": "chroot", "command": [], "arguments": ["--isolation", "chroot"], "isolated": False}]
    for mode in found:
        place = world.work / mode["name"]
        (place / "out").mkdir(parents=True)
        if mode["command"]:
            for path in (place, place / "out"):
                os.chown(path, user.pw_uid, user.pw_gid)
        mode.setdefault("store", place / "store")
        mode["out"] = place / "out"
    return found


def is_closed(mode):
    """A store has set-user-ID programs of images; no other user of the machine may get to them."""
    closed = mode["store"].stat().st_mode & 0o077 == 0
    if not closed:
        print(f"FAILED  {mode['name']}: the store is open to others", flush=True)
    return closed


def main(cbuild, scratch, names):
    attempts = [Attempt(path) for path in sorted((HERE / "attempts").glob("*.Dockerfile"))]
    attempts = [attempt for attempt in attempts if not names or attempt.name in names]
    failed = made = 0
    with support.scratch("escapes", pathlib.Path(scratch), "3g") as work:
        world = World(work, cbuild)
        for mode in modes(world):
            for attempt in attempts:
                if attempt.note("modes") == "isolated" and not mode.get("isolated", True):
                    continue
                try:
                    for value in attempt.values():
                        made += 1
                        run_once(world, mode, attempt, value)
                except (Failure, subprocess.TimeoutExpired) as failure:
                    failed += 1
                    print(f"FAILED  {mode['name']}: {attempt.name}: {failure}", flush=True)
            made += 1
            failed += not is_closed(mode)
    print(f"{made} attempts, {made - failed} passed, {failed} failed")
    return failed != 0 or made == 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
