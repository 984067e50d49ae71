#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds one Dockerfile in the places where CI runs, and holds the layers against those that root makes on this machine.

    run.py CBUILD WORK_DIR [ROW...]

A row of rows.json has the options of a docker container, or a command that starts cbuild here; the mode that cbuild must choose; parts of notes
that it must print. "fails" and "hint": parts of the error instead of an image; "doctor": parts of the remedies that `cbuild doctor` names.
Containers see this machine's /usr, so that the program under test
runs in them as it is.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import support  # noqa: E402
from support import Failure, check  # noqa: E402
import reference  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
EPOCH = "1000000000"


def container_image(env, work):
    """An image with a shell, a place to work in, and links to a /usr that is mounted there."""
    root = work / "image"
    for directory in ("bin", "etc", "usr", "work", "tmp", "dev", "proc", "sys"):
        (root / directory).mkdir(parents=True)
    for directory in ("work", "tmp"):
        (root / directory).chmod(0o1777)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    for link, to in (("bin/sh", "busybox"), ("lib", "usr/lib"), ("lib64", "usr/lib64")):
        (root / link).symlink_to(to)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/work:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nuser:x:1000:\n")
    archive = work / "image.tar"
    with tarfile.open(archive, "w") as tar:
        for name in sorted(os.listdir(root)):
            tar.add(root / name, arcname=name)
    subprocess.run(["/usr/bin/docker", "import", archive, "surroundings"], env=env, check=True, capture_output=True)


def build_arguments(row, context, base, store, out):
    return ["build", "--progress", "plain", "--root", store, "-D", "--secret", f"id=s,src={context}/secret", "--build-context",
            f"base=oci-layout://{base}:latest", "-o", f"type=oci,rewrite-timestamp=true,dest={out}", *row.get("arguments", []), context]


def in_container(row, env, cbuild, layout, work):
    out = work / "out"
    out.mkdir()
    out.chmod(0o1777)

    def run(*arguments):
        return subprocess.run([*container(row, cbuild, layout, work), *arguments], env=env, capture_output=True, text=True, timeout=240)
    check_doctor(row, run("doctor", "--json", "--root", "/work/store"))
    return run(*build_arguments(row, "/context", "/base", "/work/store", "/out/image.tar")), out / "image.tar"


def container(row, cbuild, layout, work):
    return ["/usr/bin/docker", "run", "--rm", "--network", "none", "-v", "/usr:/usr:ro", "-v", f"{cbuild}:/cbuild:ro",
            "-v", f"{layout}:/base:ro", "-v", f"{work.parent}/context:/context:ro", "-v", f"{work}/out:/out", "-e", "HOME=/work", "-w", "/work",
            "-e", f"SOURCE_DATE_EPOCH={EPOCH}", *row["docker"], "surroundings", "/cbuild"]


def check_doctor(row, done):
    found = json.loads(done.stdout)
    check(found["mode"] == row["mode"], f"doctor found mode {found['mode']}")
    check(done.returncode == (4 if row["mode"] == "none" else 0), f"doctor: exit {done.returncode}")
    remedies = " ".join(finding["remedy"] for finding in found["findings"])
    for part in row.get("doctor", []):
        check(part in remedies, f"doctor does not name {part}: {done.stdout}")


def overlay_command(work):
    """Starts what follows in a mount namespace where WORK/store lies on an overlay."""
    script = ('mount -t tmpfs none "$1" && mkdir "$1/l" "$1/u" "$1/w" "$1/m" && '
              'mount -t overlay -o "lowerdir=$1/l,upperdir=$1/u,workdir=$1/w" overlay "$1/m" && dir=$1 && shift && exec "$@"')
    (work / "stacked").mkdir()
    return ["unshare", "-m", "sh", "-ec", script, "sh", str(work / "stacked")]


def on_the_machine(row, cbuild, layout, work):
    (work / "out").mkdir()
    prefix, store = row["command"], work / "store"
    if row.get("overlay_store"):
        prefix, store = overlay_command(work), work / "stacked/m/store"
    command = [*prefix, cbuild, *build_arguments(row, work.parent / "context", layout, store, work / "out/image.tar")]
    done = subprocess.run(command, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH}, capture_output=True, text=True, timeout=240)
    return done, work / "out/image.tar"


def layers(archive):
    with tarfile.open(archive) as tar:
        def read(digest):
            return json.load(tar.extractfile("blobs/sha256/" + digest.removeprefix("sha256:")))
        manifest = read(json.load(tar.extractfile("index.json"))["manifests"][0]["digest"])
        return [layer["digest"] for layer in manifest["layers"]]


def check_row(row, done, archive, expected):
    said = done.stderr
    if "fails" in row:
        check(done.returncode != 0 and row["fails"] in said and row.get("hint", "") in said, f"exit {done.returncode}:\n{said}")
        return
    check(done.returncode == 0, f"exit {done.returncode}:\n{said}")
    check(f"isolation: {row['mode']}" in said or "--isolation" in row.get("arguments", []), f"not in mode {row['mode']}:\n{said}")
    for note in row.get("notes", []):
        check(said.count(note) == 1, f"said {said.count(note)} times: {note}\n{said}")
    have = layers(archive)
    different = [i + 1 for i, (a, b) in enumerate(zip(have, expected)) if a != b]
    check(len(have) == len(expected) and not different, f"{len(have)} of {len(expected)} layers; different: {different}")


def main(cbuild, scratch, names):
    rows = [row for row in json.loads((HERE / "rows.json").read_text()) if not names or row["name"] in names]
    layout = support.base_layout()
    support.private_mounts()
    failed = 0
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        work = pathlib.Path(folder)
        work.chmod(0o755)
        shutil.copytree(HERE / "context", work / "context")
        (work / "context/secret").write_text("word")
        first = work / "expected"
        first.mkdir()
        done, archive = on_the_machine({"command": []}, cbuild, layout, first)
        check(done.returncode == 0, done.stderr)
        expected = layers(archive)
        with reference.dockerd(work) as env:
            container_image(env, work)
            for number, row in enumerate(rows):
                place = work / str(number)
                place.mkdir()
                try:
                    run = in_container(row, env, cbuild, layout, place) if "docker" in row else on_the_machine(row, cbuild, layout, place)
                    check_row(row, *run, expected)
                    print(f"ok      {row['name']}", flush=True)
                except Failure as failure:
                    failed += 1
                    print(f"FAILED  {row['name']}: {failure}", flush=True)
    print(f"{len(rows) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    pathlib.Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    sys.exit(main(str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2], sys.argv[3:]))
