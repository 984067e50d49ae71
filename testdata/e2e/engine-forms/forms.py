# SPDX-License-Identifier: Apache-2.0
"""An image in each form goes to each engine, which runs it or takes it for a base: a row each.

What an engine of this version, or the kernel, cannot do is in CANNOT with the words of its error: such a row says aloud that it is
left out. Any other failure fails the case, and so does a program that is not installed. The engines keep what they write in
directories of the case; those that want /run get another one (own_run).
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path.cwd()
CBUILD, REGISTRY = os.environ["CBUILD"], os.environ["REGISTRY"]
BASE = f"base=oci-layout://{os.environ['BASES']}/busybox"
WHOLE = "the image is whole"
FORMS = {
    "gzip": ("compression=gzip", []),
    "zstd": ("compression=zstd", []),
    "estargz": ("compression=estargz", []),
    "uncompressed": ("compression=uncompressed", []),
    "index": ("compression=gzip", ["--build-arg", "BUILDKIT_MULTI_PLATFORM=1"]),
    "attested": ("compression=gzip", ["--attest", "type=provenance,mode=max", "--attest", "type=sbom"]),
}

# engine, form or "" for all, what its error says, why
CANNOT = [
    ("umoci and runc", "zstd", "blob is not correct mediatype.*zstd", "umoci before 0.5 does not know zstd"),
    ("LXC", "zstd", "blob is not correct mediatype.*zstd", "its template unpacks by umoci, which before 0.5 does not know zstd"),
    ("podman and crun", "", "cgroups in hybrid mode not supported", "crun does not run on a hybrid hierarchy of control groups"),
]


class Lacking(Exception):
    pass


def run(*words, env=None, timeout=120):
    """Output of a command, which has to end with 0."""
    words = [str(word) for word in words]
    if not shutil.which(words[0]):
        raise Lacking(f"{words[0]} is not installed")
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=timeout, env={**os.environ, **(env or {})})
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def own_run(*words, **more):
    """In a mount namespace where /run and /dev/shm are empty: what these engines leave there is gone afterwards."""
    script = 'mount -t tmpfs run /run && mount -t tmpfs shm /dev/shm && exec "$@"'
    return run("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *words, **more)


def layout(form):
    return HERE / f"layout-{form}"


def pushed(form):
    return f"{REGISTRY}/app:{form}"


def build(form):
    keys, flags = FORMS[form]
    run(CBUILD, "--build-context", BASE, "--progress", "plain", "-t", f"app:{form}", *flags,
        "-o", f"type=oci,dest={layout(form)},tar=false,force-compression=true,{keys}", ".")
    run(CBUILD, "copy", f"oci-layout://{layout(form)}", f"docker://{pushed(form)}")


def single(form):
    """What umoci is given: it takes a name for one manifest, and an index with attestations has two. skopeo chooses as engines do."""
    target = HERE / f"single-{form}"
    run("skopeo", "copy", "-q", f"oci:{layout(form)}:{form}", f"oci:{target}:app")
    return target


def umoci_and_runc(form):
    bundle = HERE / f"bundle-{form}"
    run("umoci", "unpack", "--image", f"{single(form)}:app", bundle)
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["terminal"] = False
    (bundle / "config.json").write_text(json.dumps(config))
    return run("runc", "--root", HERE / "runc", "run", "--bundle", bundle, f"{os.environ['ID']}-{form}")


def lxc(form):
    """Its template asks skopeo and umoci, and lxc-execute runs what the image's config says."""
    known = set(pathlib.Path("/sys/fs/cgroup").glob("*/lxc.pivot"))
    place = HERE / "lxc"
    place.mkdir(exist_ok=True)
    name = f"{os.environ['ID']}-{form}"
    try:
        own_run("lxc-create", "-P", place, "-n", name, "-f", "/dev/null", "-t", "oci", "--", "--no-cache", "--url", f"oci:{layout(form)}:{form}")
        return own_run("lxc-execute", "-P", place, "-n", name)
    finally:
        for group in set(pathlib.Path("/sys/fs/cgroup").glob("*/lxc.pivot")) - known:
            group.rmdir()


def skopeo(form):
    """Reads every layer to its end and decompresses it; the results have to be the diff ids of the config."""
    target = HERE / f"skopeo-{form}"
    run("skopeo", "copy", "-q", "--dest-decompress", f"oci:{layout(form)}:{form}", f"dir:{target}")
    manifest = json.loads((target / "manifest.json").read_text())
    config = json.loads((target / manifest["config"]["digest"].partition(":")[2]).read_text())
    layers = ["sha256:" + hashlib.sha256((target / layer["digest"].partition(":")[2]).read_bytes()).hexdigest() for layer in manifest["layers"]]
    return WHOLE if layers == config["rootfs"]["diff_ids"] else f"layers {layers}, config {config}"


def containers(program):
    """With a state of its own; the path of podman's sockets must be short."""
    return [program, "--root", HERE / "containers", "--runroot", "/dev/shm/run", "--storage-driver", "vfs"]


def base_of(form):
    """A directory with a Dockerfile whose base is the image."""
    context = HERE / f"base-{form}"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM {pushed(form)}\nRUN /whole FORM=given\n")
    return context


def buildah(form):
    return own_run(*containers("buildah"), "bud", "--tls-verify=false", "--isolation", "chroot", "--network", "host", "--ulimit",
                   "nofile=1024:1024", "--ulimit", "nproc=4096:4096", base_of(form))


def podman(runtime, form):
    return own_run(*containers("podman"), "--tmpdir", "/dev/shm/tmp", "--cgroup-manager", "cgroupfs", "--runtime", runtime, "run", "--rm",
                   "--tls-verify=false", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", pushed(form))


def docker_environment():
    return {"DOCKER_HOST": f"unix://{os.environ['DOCKER_SOCKET']}", "DOCKER_CONFIG": str(HERE / "docker-config"), "DOCKER_BUILDKIT": "1"}


def docker(form):
    return run("/usr/bin/docker", "run", "--rm", "--network", "none", pushed(form), env=docker_environment())


def buildkit(form):
    return run("/usr/bin/docker", "build", "--progress=plain", "--no-cache", "--network=none", base_of(form), env=docker_environment())


def containerd(form):
    ctr = ["ctr", "--address", f"{os.environ['WORK']}/docker/exec/containerd/containerd.sock", "--namespace", "forms"]
    run(*ctr, "images", "pull", "--plain-http", pushed(form))
    return run(*ctr, "run", "--rm", "--fifo-dir", HERE / "fifos", pushed(form), f"form-{form}")


def local_root():
    """Its files belong to the caller, which is root."""
    root = HERE / "root"
    if not root.exists():
        run(CBUILD, "--build-context", BASE, "--progress", "plain", "-o", f"type=local,dest={root}", ".")
    return root


def nspawn(_):
    return own_run("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--setenv=OWNER=0:0", "-D", local_root(), "/whole")


def changed_root(_):
    return run("chroot", local_root(), "/whole", env={"OWNER": "0:0"})


ENGINES = {
    "umoci and runc": umoci_and_runc,
    "LXC": lxc,
    "skopeo": skopeo,
    "buildah": buildah,
    "podman and crun": lambda form: podman("crun", form),
    "podman and runc": lambda form: podman("runc", form),
    "docker": docker,
    "BuildKit": buildkit,
    "containerd": containerd,
}
ROOT_ENGINES = {"systemd-nspawn": nspawn, "chroot": changed_root}


def reason(engine, form, error):
    """Why this row cannot be run, if that is why."""
    return next((why for name, only, words, why in CANNOT if name == engine and only in ("", form) and re.search(words, error)), None)


def row(engine, function, form):
    """Whether it is as it should be."""
    started = time.monotonic()
    try:
        said = function(form)
        error = None if WHOLE in said else f"it does not say that the image is whole:\n{said}"
    except Lacking as lack:
        error = str(lack)
    except (RuntimeError, subprocess.TimeoutExpired) as failure:
        error = str(failure)
    name = f"{engine}, {form}"
    if error is None:
        print(f"{name}: whole, {time.monotonic() - started:.1f} s")
    elif why := reason(engine, form, error):
        print(f"left out: {name}: {why}")
    else:
        print(f"FAILED: {name}: {error}")
        return False
    return True


def main():
    good = True
    for form in FORMS:
        build(form)
        for engine, function in ENGINES.items():
            good = row(engine, function, form) and good
    for engine, function in ROOT_ENGINES.items():
        good = row(engine, function, "type=local") and good
    return 0 if good else 1


sys.exit(main())
