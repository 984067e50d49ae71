#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds Dockerfiles in the places where CI runs, and holds the layers against those that root makes on this machine.

    run.py CBUILD WORK_DIR [ROW...]

A row of rows.json has the options of a container of docker or podman, or a command that starts cbuild here; the mode that cbuild must choose; parts of notes
that it must print. "builds": the Dockerfiles of context/ ("Dockerfile" if it is left out). "fails": by Dockerfile, parts of the error instead
of an image; "doctor": parts of the remedies that `cbuild doctor` names.
Containers see this machine's /usr, so that the program under test
runs in them as it is.
"""
import io
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
EXPECTED = {}  # by Dockerfile: digests of layers, files


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
    for command, environment in ((["/usr/bin/docker"], env), (podman(work), None)):
        subprocess.run([*command, "import", archive, "surroundings"], env=environment, check=True, capture_output=True, timeout=240)


def podman(work):
    """With a state of its own. What must have a short path lies in the /dev/shm that only this test sees."""
    return ["podman", "--root", work / "podman", "--runroot", "/dev/shm/run", "--tmpdir", "/dev/shm/tmp", "--storage-driver", "vfs",
            "--cgroup-manager", "cgroupfs", "--runtime", "runc"]


def hide_shared_memory():
    subprocess.run(["mount", "-t", "tmpfs", "none", "/dev/shm"], check=True)


def add_member(tar, name, kind, mode, owner, data=b"", **more):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.mtime = kind, mode, len(data), 1500000000
    info.uid, info.gid = owner
    for key, value in more.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def rich_archive(path):
    """Entries that an ordinary user cannot make."""
    ping = "\x01\0\0\x02\0\x20" + 14 * "\0"  # cap_net_raw+ep
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        add_member(tar, "rich", tarfile.DIRTYPE, 0o755, (0, 0))
        add_member(tar, "rich/directory", tarfile.DIRTYPE, 0o2750, (12, 13))
        add_member(tar, "rich/directory/file", tarfile.REGTYPE, 0o640, (12, 13), b"inner")
        add_member(tar, "rich/closed", tarfile.DIRTYPE, 0o500, (0, 0))
        add_member(tar, "rich/closed/shadow", tarfile.REGTYPE, 0, (0, 42), b"secret")
        add_member(tar, "rich/owned", tarfile.REGTYPE, 0o4711, (7, 8), b"owned\n")
        add_member(tar, "rich/ping", tarfile.REGTYPE, 0o755, (0, 0), b"ping", pax_headers={"SCHILY.xattr.security.capability": ping})
        add_member(tar, "rich/links", tarfile.DIRTYPE, 0o1777, (1000, 1000))
        add_member(tar, "rich/links/file", tarfile.REGTYPE, 0o600, (1000, 1000), b"x")
        add_member(tar, "rich/links/hard", tarfile.LNKTYPE, 0o600, (1000, 1000), linkname="rich/links/file")
        add_member(tar, "rich/links/soft", tarfile.SYMTYPE, 0o777, (1000, 1000), linkname="file")
        add_member(tar, "rich/pipe", tarfile.FIFOTYPE, 0o622, (5, 5))
        add_member(tar, "rich/null", tarfile.CHRTYPE, 0o666, (0, 0), devmajor=1, devminor=3)
        add_member(tar, "rich/disk", tarfile.BLKTYPE, 0o660, (0, 6), devmajor=8, devminor=1)


def build_arguments(row, context, bases, store, out, dockerfile="Dockerfile"):
    contexts = [word for name, base in zip(("base", "rich"), bases) for word in ("--build-context", f"{name}=oci-layout://{base}:latest")]
    return ["build", "--progress", "plain", "--root", store, "-D", "--secret", f"id=s,src={context}/secret", *contexts,
            "-f", f"{context}/{dockerfile}", "-o", f"type=oci,rewrite-timestamp=true,dest={out}/image.tar",
            "-o", f"type=tar,dest={out}/files.tar", *row.get("arguments", []), context]


def in_container(row, env, cbuild, layouts, work):
    out = work / "out"
    out.mkdir()
    out.chmod(0o1777)

    def run(*arguments):
        return subprocess.run([*container(row, cbuild, layouts, work), *arguments], env=env if "docker" in row else None, capture_output=True, text=True, timeout=240)
    check_doctor(row, run("doctor", "--json", "--root", "/work/store"))
    for name in dockerfiles(row):
        check_row(row, name, run(*build_arguments(row, "/context", ("/base", "/rich"), "/work/store", "/out", name)), out)


def container(row, cbuild, layouts, work):
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
    engine = ["/usr/bin/docker", "run"] if "docker" in row else [*podman(work.parent), "run", *limits]
    return [*engine, "--rm", "--network", "none", "-v", "/usr:/usr:ro", "-v", f"{cbuild}:/cbuild:ro",
            "-v", f"{layouts[0]}:/base:ro", "-v", f"{layouts[1]}:/rich:ro", "-v", f"{work.parent}/context:/context:ro", "-v", f"{work}/out:/out", "-e", "HOME=/work", "-w", "/work",
            "-e", f"SOURCE_DATE_EPOCH={EPOCH}", *row.get("docker", row.get("podman", [])), "surroundings", "/cbuild"]


def check_doctor(row, done):
    check(done.stdout, f"doctor: {done.stderr}")
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


def on_the_machine(row, cbuild, layouts, work):
    out = work / "out"
    out.mkdir()
    for directory in (work, out):
        directory.chmod(0o1777)
    prefix, store = row["command"], work / "store"
    if row.get("overlay_store"):
        prefix, store = overlay_command(work), work / "stacked/m/store"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "HOME": str(work)}
    for name in dockerfiles(row):
        command = [*prefix, cbuild, *build_arguments(row, work.parent / "context", layouts, store, out, name)]
        check_row(row, name, subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240), out)


def dockerfiles(row):
    return [*row.get("builds", [] if "fails" in row else ["Dockerfile"]), *row.get("fails", {})]


def layers(archive):
    with tarfile.open(archive) as tar:
        def read(digest):
            return json.load(tar.extractfile("blobs/sha256/" + digest.removeprefix("sha256:")))
        manifest = read(json.load(tar.extractfile("index.json"))["manifests"][0]["digest"])
        return [layer["digest"] for layer in manifest["layers"]]


def members(archive):
    """The files of an image, but not the times of its directories."""
    with tarfile.open(archive) as tar:
        return [(m.name, m.type, oct(m.mode), m.uid, m.gid, m.linkname, m.devmajor, m.devminor, m.size, m.pax_headers) for m in tar]


def check_row(row, name, done, out):
    said = done.stderr
    if name in row.get("fails", {}):
        missing = [part for part in row["fails"][name] if part not in said]
        check(done.returncode != 0 and not missing, f"{name}: exit {done.returncode}, not said: {missing}:\n{said}")
        check(not any(part in said for part in row.get("unsaid", [])), said)
        return
    check(done.returncode == 0, f"{name}: exit {done.returncode}:\n{said}")
    if name != "files.Dockerfile":
        check(f"isolation: {row['mode']}" in said or row["mode"] == "root" or "--isolation" in row.get("arguments", []),
              f"not in mode {row['mode']}:\n{said}")
        for note in row.get("notes", []):
            check(said.count(note) == 1, f"said {said.count(note)} times: {note}\n{said}")
    have, expected = layers(out / "image.tar"), EXPECTED[name]
    different = [i + 1 for i, (a, b) in enumerate(zip(have, expected[0])) if a != b]
    wrong = [pair for pair in zip(members(out / "files.tar"), expected[1]) if pair[0] != pair[1]]
    check(len(have) == len(expected[0]) and not different and not wrong,
          f"{name}: {len(have)} of {len(expected[0])} layers; different: {different}; files: {wrong}")


def expect(cbuild, layouts, work):
    """What root makes on this machine."""
    (work / "out").mkdir(parents=True)
    for name in ("Dockerfile", "files.Dockerfile", "single.Dockerfile"):
        arguments = build_arguments({}, work.parent / "context", layouts, work / "store", work / "out", name)
        done = subprocess.run([cbuild, *arguments], env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH}, capture_output=True, text=True, timeout=240)
        check(done.returncode == 0, done.stderr)
        EXPECTED[name] = layers(work / "out/image.tar"), members(work / "out/files.tar")


def rich_layout(cbuild, work):
    """A base image with entries that an ordinary user cannot make."""
    subprocess.run([cbuild, "build", "--root", work / "store-of-rich", "-f", "-", "-o", f"type=oci,tar=false,dest={work}/rich", work / "context",
                    "--build-context", f"base=oci-layout://{support.base_layout()}:latest", "-t", "rich:latest"],
                   input=b"FROM base\nADD rich.tar /\n", check=True, capture_output=True, timeout=240)
    return work / "rich"


def main(cbuild, scratch, names):
    rows = [row for row in json.loads((HERE / "rows.json").read_text()) if not names or row["name"] in names]
    support.private_mounts()
    hide_shared_memory()
    failed = 0
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        work = pathlib.Path(folder)
        work.chmod(0o755)
        shutil.copytree(HERE / "context", work / "context")
        (work / "context/secret").write_text("word")
        rich_archive(work / "context/rich.tar")
        layouts = support.base_layout(), rich_layout(cbuild, work)
        expect(cbuild, layouts, work / "expected")
        with reference.dockerd(work) as env:
            container_image(env, work)
            for number, row in enumerate(rows):
                place = work / str(number)
                place.mkdir()
                try:
                    on_the_machine(row, cbuild, layouts, place) if "command" in row else in_container(row, env, cbuild, layouts, place)
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
