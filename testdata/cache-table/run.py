#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the cache table: "change X, expect exactly these steps to run".

    run.py CBUILD [TABLE.json...] [--row PART_OF_NAME] [--work DIR]

A table is {"about", "files", "dockerfile", "args", "rows"}; a row takes the other fields from its table. For each row the context is
written, built into a store of its own, changed, and built again:

  {"name": ..., "rule": why it must be so (optional),
   "files": {"path": "content" | {"link": target} | {"dir": mode} | {"content": ..., "mode": ..., "uid": ...}},
   "dockerfile": [lines], "args": [...], "env": {...}, "base": "busybox"|"relabelled"|"other",
   "args2", "env2", "base2", "context2": "moved": the differences of the second build
   "change": [["write", path, text], ["replace", old, new] (in the Dockerfile), ["chmod", path, mode], ...]: see Context,
   "ran": parts of the names of exactly the RUN, COPY, ADD, WORKDIR and merge steps that run in the second build,
   "first": the same for the first build (optional),
   "stale": why the second result may differ from that of an empty store (optional)}

Unless "stale" is given the second result (files without times, image config) is compared with a build of the same into an empty store, so
that a wrong hit is found even where the row expects it. FROM base is an OCI layout with busybox; "relabelled" has the same layers and another
manifest, "other" has a layer more. The stores lie on a tmpfs if the caller may mount one.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import support  # noqa: E402
from support import Failure  # noqa: E402

CAP_NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def derive_bases(origin, target):
    """The layouts a row may name as its base."""
    shutil.copytree(origin, target / "busybox")
    for name, with_layer in (("relabelled", False), ("other", True)):
        layout = target / name
        shutil.copytree(origin, layout)
        blobs = layout / "blobs" / "sha256"

        def put(data):
            digest = hashlib.sha256(data).hexdigest()
            (blobs / digest).write_bytes(data)
            return {"digest": "sha256:" + digest, "size": len(data)}
        index = json.loads((layout / "index.json").read_text())
        manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_bytes())
        config = json.loads((blobs / manifest["config"]["digest"][7:]).read_bytes())
        config["config"]["Labels"] = {"base": name}
        if with_layer:
            with tempfile.TemporaryFile() as file:
                with tarfile.open(fileobj=file, mode="w") as tar:
                    tar.addfile(tarfile.TarInfo("etc/other"))
                file.seek(0)
                layer = put(file.read())
            config["rootfs"]["diff_ids"].append(layer["digest"])
            config["history"].append({"created": "2024-01-01T00:00:00Z", "created_by": "other"})
            manifest["layers"].append({"mediaType": "application/vnd.oci.image.layer.v1.tar", **layer})
        manifest["config"].update(put(json.dumps(config).encode()))
        index["manifests"][0].update(put(json.dumps(manifest).encode()))
        (layout / "index.json").write_text(json.dumps(index))


class Context:
    """A row's directory and the changes it knows."""

    def __init__(self, path, row):
        self.path = path
        path.mkdir()
        for name, what in row.get("files", {}).items():
            self.make(name, what)
        (path / "Dockerfile").write_text("\n".join(row["dockerfile"]) + "\n")

    def at(self, name):
        return self.path / name

    def make(self, name, what):
        at = self.at(name)
        at.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, str):
            what = {"content": what}
        if "link" in what:
            at.symlink_to(what["link"])
            return
        if "dir" in what:
            at.mkdir(exist_ok=True)
            at.chmod(int(what["dir"], 8))
        else:
            at.write_text(what["content"])
            at.chmod(int(what.get("mode", "644"), 8))
        if "uid" in what:
            os.chown(at, what["uid"], what["uid"])

    def change(self, op, *args):
        getattr(self, "do_" + op)(*args)

    def do_write(self, name, text):
        self.at(name).parent.mkdir(parents=True, exist_ok=True)
        self.at(name).write_text(text)

    def do_replace(self, old, new):
        text = self.at("Dockerfile").read_text()
        if old not in text:
            raise Failure(f"the Dockerfile has no {old!r}")
        self.do_write("Dockerfile", text.replace(old, new))

    def do_chmod(self, name, mode):
        self.at(name).chmod(int(mode, 8))

    def do_chown(self, name, uid, gid):
        os.lchown(self.at(name), uid, gid)

    def do_rename(self, old, new):
        self.at(new).parent.mkdir(parents=True, exist_ok=True)
        self.at(old).rename(self.at(new))

    def do_remove(self, name):
        at = self.at(name)
        shutil.rmtree(at) if at.is_dir() and not at.is_symlink() else at.unlink()

    def do_touch(self, name, seconds=1000000000):
        os.utime(self.at(name), (seconds, seconds), follow_symlinks=False)

    def do_mkdir(self, name):
        self.at(name).mkdir(parents=True)

    def do_link(self, name, target):
        if self.at(name).is_symlink() or self.at(name).exists():
            self.do_remove(name)
        self.at(name).symlink_to(target)

    def do_hardlink(self, name, existing):
        if self.at(name).exists():
            self.do_remove(name)
        os.link(self.at(existing), self.at(name))

    def do_fifo(self, name):
        os.mkfifo(self.at(name))

    def do_setcap(self, name):
        os.setxattr(self.at(name), "security.capability", CAP_NET_RAW)

    def do_xattr(self, name, key, value):
        os.setxattr(self.at(name), key, value.encode())

    def do_rewrite(self, name):
        """The same content as a new file: another inode, other times."""
        text, mode = self.at(name).read_bytes(), self.at(name).stat().st_mode
        self.at(name).unlink()
        self.at(name).write_bytes(text)
        self.at(name).chmod(stat.S_IMODE(mode))


class Row:
    def __init__(self, cbuild, bases_dir, work, row):
        self.cbuild, self.bases, self.work, self.row = cbuild, bases_dir, work, row

    def build(self, context, store, number, *more):
        second = number == 2
        row = self.row
        args = row.get("args2", row.get("args", [])) if second else row.get("args", [])
        base = row.get("base2", row.get("base", "busybox")) if second else row.get("base", "busybox")
        env = {**os.environ, **row.get("env", {}), **(row.get("env2", {}) if second else {}), "CBUILD_ROOT": str(store)}
        for name in row.get("unset2", []) if second else []:
            env.pop(name, None)
        argv = [str(self.cbuild), "--progress", "plain", "--build-context", f"base=oci-layout://{self.bases}/{base}",
                *[a.replace("${BASES}", str(self.bases)) for a in args], *more, "."]
        done = subprocess.run(argv, cwd=context.path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=120)
        shown = f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}"
        if done.returncode != 0:
            raise Failure(f"exit code {done.returncode}\n{shown}")
        return done.stderr, shown

    @staticmethod
    def check(what, want, have, shown):
        rest = list(have)
        for part in want:
            match = next((s for s in rest if part in s), None)
            if match is None:
                raise Failure(f"{what}: no step with {part!r} in {have}\n{shown}")
            rest.remove(match)
        if rest:
            raise Failure(f"{what}: unexpected {rest}\n{shown}")

    def run(self):
        context = Context(self.work / "context", self.row)
        stderr, shown = self.build(context, self.work / "store", 1)
        ran, cached = support.steps(stderr)
        if not ran or (cached and "first" not in self.row):
            raise Failure(f"first build: ran {ran}, cached {cached}\n{shown}")
        if "first" in self.row:
            self.check("first build", self.row["first"], ran, shown)
        for change in self.row.get("change", []):
            context.change(*change)
        if self.row.get("context2") == "moved":
            shutil.copytree(context.path, self.work / "elsewhere", symlinks=True)
            context.path = self.work / "elsewhere"
        result = self.outputs("warm")
        stderr, warm_shown = self.build(context, self.work / "store", 2, *result)
        ran, cached = support.steps(stderr)
        self.check("ran", self.row["ran"], ran, warm_shown)
        if "cached" in self.row:
            self.check("cached", self.row["cached"], cached, warm_shown)
        if "stale" not in self.row:
            self.build(context, self.work / "fresh", 2, *self.outputs("cold"))
            self.compare(warm_shown)

    def outputs(self, name):
        return ["-o", f"type=tar,dest={self.work}/{name}.tar", "-o", f"type=oci,tar=false,dest={self.work}/{name}"]

    def compare(self, shown):
        warm, cold = (self.picture(name) for name in ("warm", "cold"))
        if warm != cold:
            wrong = [f"  warm {warm.get(k)}\n  cold {cold.get(k)}" for k in sorted(warm.keys() | cold.keys()) if warm.get(k) != cold.get(k)]
            raise Failure("not what an empty store gives:\n" + "\n".join(wrong[:10]) + "\n" + shown)

    def picture(self, name):
        config, history = support.config_of(self.work / name)
        return {**support.tree_of(self.work / f"{name}.tar"), "config": config, "history": history}


def load(paths):
    rows = []
    for path in paths:
        table = json.loads(path.read_text())
        shared = {k: v for k, v in table.items() if k not in ("about", "rows")}
        for row in table["rows"]:
            rows.append((path.stem, {**shared, **row}))
    names = [(stem, row["name"]) for stem, row in rows]
    if len(set(names)) != len(names):
        raise SystemExit(f"rows with the same name: {sorted(n for n in names if names.count(n) > 1)}")
    return rows


def run_rows(options, rows, work):
    bases_dir = work / "bases"
    bases_dir.mkdir()
    derive_bases(support.base_layout(), bases_dir)

    def one(numbered):
        number, (stem, row) = numbered
        place = work / str(number)
        place.mkdir()
        try:
            Row(options.cbuild.resolve(), bases_dir, place, row).run()
        except (Failure, subprocess.TimeoutExpired) as failure:
            print(f"FAILED {stem}: {row['name']}: {failure}\n", flush=True)
            return 1
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        failed = sum(pool.map(one, enumerate(rows)))
    print(f"{len(rows)} rows, {failed} failed")
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cbuild", type=pathlib.Path)
    parser.add_argument("tables", nargs="*", type=pathlib.Path)
    parser.add_argument("--row", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp"))
    options = parser.parse_args()
    os.umask(0o022)
    for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSH_AUTH_SOCK"):
        os.environ.pop(variable, None)
    rows = load(options.tables or sorted(pathlib.Path(__file__).resolve().parent.glob("*.json")))
    rows = [(stem, row) for stem, row in rows if options.row in row["name"]]
    with support.scratch("cache-table", options.work) as work:
        return 1 if run_rows(options, rows, work) else 0


if __name__ == "__main__":
    sys.exit(main())
