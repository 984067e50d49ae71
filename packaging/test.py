#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test.py PACKAGES [--only PART_OF_A_NAME] [--root DIR ...] [--work DIR]: tries the packages that ./dev package made.

The .deb is installed into fresh roots of Debian 12 and 13 (mmdebstrap), where the second command builds an example. The static
program and the one in the image build in roots of other kinds: busybox without a C library, Debian 13, a root with
nothing else in it, and every DIR given with --root (a root file system of another distribution). Every root is entered by
pivot_root in a mount namespace of its own, because user namespaces and overlay mounts do not work in a chroot.
"""
import argparse
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "testdata"), str(HERE.parent / "testdata/e2e")]
import reference  # noqa: E402
import support  # noqa: E402
from support import check  # noqa: E402

LIMIT = 14_000_000


def run(words, code=0, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=1800, **options)
    check(done.returncode == code, f"{' '.join(map(str, words[-3:]))}: exit code {done.returncode}, not {code}\n"
                                   f"{done.stdout[-6000:]}{done.stderr[-6000:]}")
    return done.stdout + done.stderr


def enter(root, words, code=0, env=None):
    """Runs a program of the root in it. A helper of this machine does the mounts; it needs nothing of the root."""
    clean = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", **(env or {})}
    helper = [sys.executable, str(HERE / "enter.py"), str(root), "--", *map(str, words)]
    return run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", *helper], code, env=clean)


def debian_root(suite, place, packages=("ca-certificates",)):
    """A fresh Debian from the mirror of this machine."""
    targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(ORIGIN)", "Created-By: Packages"])
    mirrors = [line.split()[0] for line in targets.splitlines() if line.endswith(" Debian") and "security" not in line.split()[1]]
    check(mirrors, "apt on this machine has no Debian mirror")
    run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", suite, place, mirrors[0].rstrip("/")])
    shutil.copy("/etc/resolv.conf", place / "etc/resolv.conf")
    proxies = [p for p in pathlib.Path("/etc/apt/apt.conf.d").glob("*proxy*")]
    for proxy in proxies:
        shutil.copy(proxy, place / "etc/apt/apt.conf.d")
    return place


def layouts(root):
    """The base image of the examples, as a layout in the root."""
    shutil.copytree(support.base_layout(), root / "srv/busybox", dirs_exist_ok=True)
    return "busybox=oci-layout:///srv/busybox"


def no_compiler(root):
    for name in ("gcc", "cc", "g++", "clang", "make", "cmake"):
        check(not (root / "usr/bin" / name).exists(), f"{name} is in the root")


class Packages:
    """The files, each looked for when a test needs it."""

    def __init__(self, folder):
        self.folder = folder

    def one(self, pattern, but=()):
        found = [p for p in self.folder.glob(pattern) if not p.name.endswith((".json", *but))]
        check(len(found) == 1, f"{pattern} in {self.folder}: {[p.name for p in found]}; ./dev package makes it")
        return found[0]

    @property
    def deb(self):
        return self.one("cbuild_*.deb")

    @property
    def program(self):
        return self.one("cbuild-*-linux-*", (".gz",))

    @property
    def image(self):
        return self.one("cbuild-*-image.tar")


def deb_on(suite, packages, work):
    """Two commands on a fresh machine without a compiler; then the same as an ordinary user, and all is gone after a purge."""
    root = debian_root(suite, work / suite)
    no_compiler(root)
    base = layouts(root)
    shutil.copy(packages.deb, root / "srv")
    enter(root, ["apt-get", "update", "-q"])
    enter(root, ["apt-get", "install", "-y", "-q", f"/srv/{packages.deb.name}"], env={"DEBIAN_FRONTEND": "noninteractive"})
    example = "/usr/share/doc/cbuild/examples/hello"
    out = enter(root, ["cbuild", "--root", "/srv/store", "--progress", "plain", "--build-context", base, "-t", "hello", example])
    check("exporting the image" in out, f"no image\n{out}")
    no_compiler(root)
    for page in ("man/man1/cbuild.1.gz", "man/man1/cbuild-prune.1.gz", "bash-completion/completions/cbuild", "doc/cbuild/copyright",
                 "zsh/vendor-completions/_cbuild", "fish/vendor_completions.d/cbuild.fish", "doc/cbuild/docs/cli.md"):
        check((root / "usr/share" / page).is_file(), f"{page} is missing")
    check(not (root / "usr/share/doc/cbuild/LICENSE").exists(), "the licence is there twice")
    enter(root, ["useradd", "--create-home", "builder"])
    out = enter(root, ["su", "builder", "-c", f"cbuild --progress plain --build-context {base} -t hello {example}"])
    check("user namespace with 65537 uids" in out, f"the user's id ranges were not used\n{out}")
    enter(root, ["dpkg", "--purge", "cbuild"])
    left = [p for p in (root / "usr").rglob("*cbuild*")]
    check(not left, f"left after the purge: {left}")


def deb_on_debian_12(packages, work):
    deb_on("bookworm", packages, work)


def deb_on_debian_13(packages, work):
    deb_on("trixie", packages, work)


def deb_is_clean(packages, _):
    """lintian, and checks that it does not make: the dependencies are more than libc, modes and owners are right."""
    done = subprocess.run(["lintian", "--fail-on", "error,warning", "--allow-root", str(packages.deb)], capture_output=True, text=True)
    check(done.returncode == 0, f"lintian:\n{done.stdout}{done.stderr}")
    depends = run(["dpkg-deb", "-f", packages.deb, "Depends"])
    for name in ("libc6", "libtbb12", "libisal2", "libcurl4"):
        check(name in depends, f"{name} is not in '{depends}'")
    for line in run(["dpkg-deb", "-c", packages.deb]).splitlines():
        mode, owner, name = line.split()[0], line.split()[1], line.split()[5]
        check(owner == "root/root", f"owner of {name}: {owner}")
        check(mode in ("drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"), f"mode of {name}: {mode}")


def builds_in(root, program, work):
    """Version, a base from a registry that only /etc/hosts and a damaged nsswitch.conf can lead to, a RUN step, and an archive
    with a name outside of ASCII."""
    (root / "etc").mkdir(exist_ok=True)
    for name in ("etc/nsswitch.conf", "etc/hosts"):
        (root / name).unlink(missing_ok=True)
    (root / "etc/nsswitch.conf").write_text("passwd: nosuchmodule\ngroup: nosuchmodule\nhosts: nosuchmodule [!UNAVAIL=return] resolve\n")
    (root / "etc/hosts").write_text("127.0.0.1 registry.test\n")
    source = root / "cbuild-src"
    source.mkdir()
    with tarfile.open(source / "files.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("straße"))
    with reference.registry(work) as registry:
        port = registry.rsplit(":", 1)[1]
        run([program, "--root", work / "push", "-t", f"{registry}/busybox", "--push", "--progress", "quiet", "-f", "-", "--build-context",
             f"base=oci-layout://{support.base_layout()}", work], input="FROM base\n")
        (source / "Dockerfile").write_text(f"FROM registry.test:{port}/busybox\nADD files.tar /\nRUN echo made > /made && test -e /stra*e\n")
        shutil.copy(program, root / "cbuild")
        check(re.match(r"cbuild \d+\.\d+", enter(root, ["/cbuild", "--version"])), "no version")
        enter(root, ["/cbuild", "--root", "/tmp/store", "--progress", "plain", "--insecure-registry", f"registry.test:{port}",
                     "-o", "type=local,dest=/cbuild-out", "/cbuild-src"])
    check((root / "cbuild-out/made").read_text() == "made\n", "the step made nothing")
    check((root / "cbuild-out/straße").exists(), "the file of the archive has another name")


def static_is_static(packages, _):
    check(packages.program.stat().st_size < LIMIT, f"{packages.program.stat().st_size} bytes")
    headers = run(["readelf", "-ld", packages.program])
    check("INTERP" not in headers and "NEEDED" not in headers, headers)
    check("no symbols" in run(["nm", packages.program], code=0), "the program is not stripped")


def static_in_busybox(packages, work):
    """As Alpine: busybox, no glibc."""
    root = work / "busybox-root"
    for name in ("bin", "root", "lib"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    builds_in(root, packages.program, work)


def static_in_debian_13(packages, work):
    builds_in(debian_root("trixie", work / "trixie"), packages.program, work)


def static_in_scratch(packages, work):
    """Nothing but the program: no /etc/passwd, no libraries, no /tmp before it is mounted."""
    root = work / "scratch"
    root.mkdir()
    builds_in(root, packages.program, work)


def image_builds(packages, work):
    """The program of the image in the root of the image, and the image's configuration."""
    layout, root = work / "layout", work / "image-root"
    layout.mkdir()
    root.mkdir()
    with tarfile.open(packages.image) as tar:
        tar.extractall(layout)
    config = support.read_config(layout)
    check(config["config"]["Entrypoint"] == ["/usr/bin/cbuild"], "another entry point")
    check(config["config"]["Volumes"] == {"/var/lib/cbuild": {}}, "the store is not a volume")
    check("CBUILD_ROOT=/var/lib/cbuild" in config["config"]["Env"], "another store")
    manifest_digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    manifest = json.loads((layout / "blobs" / manifest_digest.replace(":", "/")).read_text())
    for layer in manifest["layers"]:
        run(["tar", "-xf", layout / "blobs" / layer["digest"].replace(":", "/"), "-C", root])
    check((root / "tmp").stat().st_mode & 0o7777 == 0o1777, "/tmp has another mode")
    check(b"BEGIN CERTIFICATE" in (root / "etc/ssl/certs/ca-certificates.crt").read_bytes(), "no certificates")
    check((root / "usr/bin/cbuild").read_bytes() == packages.program.read_bytes(), "another program")
    builds_in(root, root / "usr/bin/cbuild", work)


def sboms_are_right(packages, _):
    """The demands of SPDX 2.3 on a document, and that every library is in it with a version and a licence."""
    for artifact in (packages.deb, packages.program, packages.image):
        document = json.loads(artifact.with_name(artifact.name + ".spdx.json").read_text())
        check((document["spdxVersion"], document["dataLicense"], document["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"), "head")
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["creationInfo"]["created"]), "created")
        check(re.match(r"[a-z]+:[^#]+$", document["documentNamespace"]), "documentNamespace")
        ids = [p["SPDXID"] for p in document["packages"]]
        check(len(ids) == len(set(ids)), f"an id twice: {sorted(ids)}")
        check(all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", i) for i in ids), f"ids: {ids}")
        for relation in document["relationships"]:
            check({relation["spdxElementId"], relation["relatedSpdxElement"]} <= {*ids, "SPDXRef-DOCUMENT"}, f"{relation} leads nowhere")
        [own] = [p for p in document["packages"] if p["SPDXID"] == "SPDXRef-artifact"]
        check(own["checksums"][0]["checksumValue"] == hashlib.sha256(artifact.read_bytes()).hexdigest(), "another checksum")
        for package in document["packages"]:
            check({"name", "versionInfo", "downloadLocation", "licenseDeclared"} <= set(package), f"{package['name']} lacks a field")
            check(package["licenseDeclared"] != "NOASSERTION", f"{package['name']} has no licence")
        names = {p["name"] for p in document["packages"]}
        static = artifact != packages.deb
        for name in ["openssl", "libarchive", "onetbb", "libisal", "curl", "sqlite3", "glibc"]:
            check(name in names, f"{artifact.name}: {name} is missing in {sorted(names)}")
        check(("nghttp2" in names) == static, f"{artifact.name}: nghttp2")


TESTS = [static_is_static, sboms_are_right, deb_is_clean, static_in_scratch, static_in_busybox, image_builds, static_in_debian_13,
         deb_on_debian_12, deb_on_debian_13]


def in_root(given):
    def test(packages, work):
        copy = work / "given"
        run(["cp", "-a", given, copy])
        builds_in(copy, packages.program, work)
    test.__name__ = f"static_in {given}"
    return test


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--root", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp"))
    args = parser.parse_args()
    packages, failed, done = Packages(args.packages.resolve()), 0, 0
    for test in TESTS + [in_root(given) for given in args.root]:
        if args.only not in test.__name__:
            continue
        with support.scratch("packages", args.work, "8g") as work:
            done += 1
            try:
                test(packages, work)
                print(f"ok      {test.__name__}", flush=True)
            except support.Failure as failure:
                failed += 1
                print(f"FAILED  {test.__name__}: {failure}", flush=True)
    print(f"{done - failed} passed, {failed} failed")
    return 1 if failed or not done else 0


sys.exit(main())
