#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test.py CBUILD [WORK]: the integrations as their services would use them, as far as that goes without the services.

Every file is parsed; names that are declared and names that are used must be the same. Scripts and containers then run
with the variables, mounts and capabilities that the service would give, against a registry on loopback.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.request

import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "testdata"), str(HERE.parent / "testdata/e2e")]
import reference  # noqa: E402
import support  # noqa: E402
from support import check  # noqa: E402

POD_CAPABILITIES = ("chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod "
                    "audit_write setfcap").split()
MANIFEST = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


class Place:
    """The tools of one test: a directory of its own, the program, the registry."""

    def __init__(self, work, cbuild, registry):
        self.work, self.cbuild, self.registry = work, cbuild, registry
        self.source = work / "src"
        self.source.mkdir(parents=True)
        (self.source / "Dockerfile").write_text(
            f"FROM {registry}/busybox\nARG WHO=nobody\nCOPY file /file\nRUN : {work.name}; echo \"built for $WHO\" > /made && cat /file\n")
        (self.source / "file").write_text("content\n")
        self.store = work / "store"

    def run(self, words, env=None, code=0, cwd=None):
        path = f"{self.cbuild.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        done = subprocess.run(words, cwd=cwd or self.source, capture_output=True, text=True, timeout=600,
                              env={"PATH": path, "HOME": str(self.work), **(env or {})})
        check(done.returncode == code, f"{words[:2]}: exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def digest(self, name):
        """Digest of the image that the registry has under that name."""
        repository, tag = name.removeprefix(self.registry + "/").rsplit(":", 1)
        request = urllib.request.Request(f"http://{self.registry}/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return "sha256:" + hashlib.sha256(answer.read()).hexdigest()


def load(path):
    return list(yaml.safe_load_all((HERE / path).read_text()))


def same(declared, used, what):
    check(set(declared) == set(used), f"{what}: declared and not used {sorted(set(declared) - set(used))}, "
                                      f"used and not declared {sorted(set(used) - set(declared))}")


def shell_syntax(text, shell="bash"):
    done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True)
    check(done.returncode == 0, f"{shell} -n: {done.stderr}")


def action_declares_what_it_uses(_):
    [action] = load("github-action/action.yml")
    check(action["runs"]["using"] == "composite", "the action is not composite")
    text = (HERE / "github-action/action.yml").read_text()
    same(action["inputs"], re.findall(r"\$\{\{ inputs\.([a-z0-9-]+) \}\}", text), "inputs")
    setup, build = action["runs"]["steps"]
    for step, script in ((setup, "setup.sh"), (build, "build.sh")):
        source = (HERE / "github-action" / script).read_text()
        check(script in step["run"] and "${{" not in step["run"], f"{script}: an input is part of the script's text")
        check(step["shell"] == "bash", f"{script} has no shell")
        shell_syntax(source)
        same(step["env"], set(re.findall(r"\$\{((?:INPUT|CBUILD)_[A-Z0-9_]+)", source)), script)
    written = re.findall(r'echo "([a-z-]+)=', (HERE / "github-action/build.sh").read_text()) + ["metadata"]
    same(action["outputs"], written, "outputs")
    for name, output in action["outputs"].items():
        check(output["value"] == f"${{{{ steps.{build['id']}.outputs.{name} }}}}", f"output {name} has another value")


def runner(place):
    temp = place.work / "temp"
    temp.mkdir(exist_ok=True)
    return {"RUNNER_TEMP": str(temp), "GITHUB_PATH": str(place.work / "path"), "GITHUB_OUTPUT": str(place.work / "output")}


def action_sets_up(place):
    script = str(HERE / "github-action/setup.sh")
    right = hashlib.sha256(place.cbuild.read_bytes()).hexdigest()
    package = {**runner(place), "CBUILD_PACKAGE": str(place.cbuild)}
    check("cbuild " in place.run([script], {**package, "CBUILD_SHA256": right}), "the version is not shown")
    installed = pathlib.Path((place.work / "path").read_text().strip()) / "cbuild"
    check(installed.read_bytes() == place.cbuild.read_bytes(), "the program on the path is another one")
    check("SHA-256 is not" in place.run([script], {**package, "CBUILD_SHA256": "0" * 64}, code=1), "a wrong digest passes")
    for url, message in (("https://localhost/x", "needs the input 'sha256'"), ("http://localhost/x", "https URLs only")):
        check(message in place.run([script], {**runner(place), "CBUILD_PACKAGE": url}, code=1), f"{url} is not refused")
    check("cbuild " in place.run([script], runner(place)), "a cbuild on the PATH is not taken")


def action_builds(place):
    name = f"{place.registry}/action:1"
    inputs = {"CONTEXT": str(place.source), "TAGS": f"  {name}\n\n{place.registry}/action:two\r\n", "PUSH": "true",
              "BUILD_ARGS": 'WHO=it\'s "me" $(touch /tmp/cbuild-injected)\n', "FLAGS": f"--root={place.store}\n",
              "OUTPUTS": f"type=local,dest={place.work}/out"}
    place.run([str(HERE / "github-action/build.sh")], {**runner(place), **{f"INPUT_{k}": v for k, v in inputs.items()}})
    made = (place.work / "out/made").read_text()
    check(made == 'built for it\'s "me" $(touch /tmp/cbuild-injected)\n', f"the build argument became {made!r}")
    output = (place.work / "output").read_text()
    digest = re.search(r"^digest=(.*)$", output, re.M)[1]
    check(digest == place.digest(name) == place.digest(f"{place.registry}/action:two"), "the registry has another digest")
    check(re.search(r"^image-id=sha256:[0-9a-f]{64}$", output, re.M), "there is no image-id")
    begin = re.search(r"^metadata<<(.*)\n((?s:.*?))\n\1$", output, re.M)
    check(json.loads(begin[2])["containerimage.digest"] == digest, "the metadata has another digest")
    check(not list((place.work / "temp").iterdir()), "the action leaves temporary files")


def component(place):
    """The job of the component with its inputs filled in, as GitLab does before the pipeline begins."""
    path = "gitlab/templates/build.yml"
    header, _ = load(path)
    declared, text = header["spec"]["inputs"], (HERE / path).read_text().split("\n---\n", 1)[1]
    same(declared, re.findall(r"\$\[\[ inputs\.([a-z-]+) \]\]", text), "inputs")
    given = {"runner-image": "debian:12", "flags": f"--root={place.store}", "target": ""}
    for key, row in declared.items():
        check("default" in row or key in given, f"input {key} has no default")
        text = text.replace(f"$[[ inputs.{key} ]]", str(given.get(key, row.get("default"))))
    [(name, job)] = yaml.safe_load(text).items()
    check(name == "build-image" and job["stage"] == "build", "the job has another name or stage")
    return job


def gitlab_component(place):
    job = component(place)
    script, after = "\n".join(job["script"]), "\n".join(job["after_script"])
    for text in (script, after):
        shell_syntax(text, "sh")
    image = f"{place.registry}/team/app"
    env = {"CI_PROJECT_DIR": str(place.source), "CI_REGISTRY": place.registry, "CI_REGISTRY_USER": "u", "CI_REGISTRY_PASSWORD": "p",
           "CI_REGISTRY_IMAGE": image, "CI_COMMIT_SHA": "0123abcd", "CI_COMMIT_REF_SLUG": "branch", "CI_DEFAULT_BRANCH": "main"}
    for key, value in job["variables"].items():  # runners expand variables in variables
        env[key] = re.sub(r"\$([A-Z_]+)", lambda m: env[m[1]], str(value or ""))
    place.run(["sh", "-e", "-c", script], env)
    login = place.source / ".cbuild-login/config.json"
    auth = json.loads(login.read_text())["auths"]
    check(auth == {place.registry: {"auth": "dTpw"}}, f"the login is {auth}")
    check(login.parent.stat().st_mode & 0o077 == 0, "others can read the login")
    metadata = json.loads((place.source / job["artifacts"]["paths"][0]).read_text())
    check(metadata["containerimage.digest"] == place.digest(f"{image}:0123abcd"), "the registry has another digest")
    shutil.rmtree(place.store)
    again = place.run(["sh", "-e", "-c", script], env)
    check(re.search(r"^#\d+ CACHED$", again, re.M), f"a second machine takes nothing from the branch's cache\n{again}")
    place.run(["sh", "-e", "-c", after], env)
    check(not login.exists(), "the login is left")


def tekton_task(place):
    [task] = load("tekton/task.yaml")
    check((task["apiVersion"], task["kind"]) == ("tekton.dev/v1", "Task"), "this is not a task")
    spec, text = task["spec"], (HERE / "tekton/task.yaml").read_text()
    same([p["name"] for p in spec["params"]], re.findall(r"\$\(params\.([A-Z_]+)", text), "params")
    same([r["name"] for r in spec["results"]], re.findall(r"\$\(results\.([A-Z_]+)\.path\)", text), "results")
    [step] = spec["steps"]
    volumes_exist(step, spec)
    result = place.work / "result"
    image = f"{place.registry}/tekton:1"
    values = {"$(params.IMAGE)": image, "$(params.CACHE)": f"{place.registry}/tekton:cache", "$(params.DOCKERFILE)": "Dockerfile",
              "$(params.CONTEXT)": ".", "$(results.IMAGE_ID.path)": str(result)}
    words = [str(place.cbuild)]
    for word in step["args"]:
        for key, value in values.items():
            word = word.replace(key, value)
        words += ["--build-arg", "WHO=tekton"] if word == "$(params.FLAGS[*])" else [word]
    check(not [w for w in words if "$(" in w], f"not replaced: {words}")
    place.run(words, {"CBUILD_ROOT": str(place.store)})
    check(re.fullmatch(r"sha256:[0-9a-f]{64}\n?", result.read_text()), f"the result is {result.read_text()!r}")
    check(place.digest(image).startswith("sha256:"), "the image is not in the registry")


def volumes_exist(container, spec):
    check({m["name"] for m in container["volumeMounts"]} <= {v["name"] for v in spec["volumes"]}, "a volume is missing")
    check(len({m["mountPath"] for m in container["volumeMounts"]}) == len(container["volumeMounts"]), "two mounts on one path")


def job_of(kind):
    [job] = load(f"kubernetes/job-{kind}.yaml")
    check((job["apiVersion"], job["kind"]) == ("batch/v1", "Job"), "this is not a job")
    pod = job["spec"]["template"]["spec"]
    check(pod["restartPolicy"] in ("Never", "OnFailure"), "a job's pods may not restart always")
    [container] = pod["containers"]
    volumes_exist(container, pod)
    return container


def run_job(place, container, prefix):
    """The container with the mounts at other paths and the registry at another address."""
    paths = {"/src": str(place.source), "/store": str(place.store), "/login": str(place.work / "login"),
             "registry.example.com": place.registry}
    check({m["mountPath"] for m in container["volumeMounts"]} == {"/src", "/store", "/login"}, "other mounts than expected")

    def moved(word):
        return re.sub(r"^(/src|/store|/login)$|registry\.example\.com", lambda m: paths[m[0]], word)
    (place.work / "login").mkdir()
    (place.work / "login/config.json").write_text('{"auths": {}}')
    env = {row["name"]: moved(row["value"]) for row in container["env"]}
    out = place.run([*prefix, str(place.cbuild), *map(moved, container["args"])], env)
    check(place.digest(f"{place.registry}/team/app:1").startswith("sha256:"), "the image is not in the registry")
    return out


def kubernetes_privileged(place):
    container = job_of("privileged")
    check(container["securityContext"] == {"runAsUser": 0, "privileged": True}, "the job is not privileged")
    run_job(place, container, [])


def kubernetes_unprivileged(place):
    """As in a pod: without CAP_SYS_ADMIN, with a /proc of which parts are hidden."""
    container = job_of("unprivileged")
    check(container["securityContext"] == {"runAsUser": 0, "privileged": False, "seccompProfile": {"type": "Unconfined"}},
          "the job's privileges are others")
    caps = ",".join(["-all"] + [f"+{name}" for name in POD_CAPABILITIES])
    out = run_job(place, container, ["unshare", "--mount", "sh", "-ec",
                                     f'mount --bind /dev/null /proc/interrupts; exec setpriv --bounding-set={caps} --inh-caps=-all "$@"', "sh"])
    check("masked-proc" in out, f"the steps ran in another mode\n{out}")


TESTS = [action_declares_what_it_uses, action_sets_up, action_builds, gitlab_component, tekton_task, kubernetes_privileged,
         kubernetes_unprivileged]


def main():
    cbuild = pathlib.Path(sys.argv[1]).resolve()
    parent = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "/tmp").resolve()
    failed = 0
    with support.scratch("integrations", parent) as work, reference.registry(work) as registry:
        subprocess.run([cbuild, "--root", work / "push", "-t", f"{registry}/busybox", "--push", "--progress", "quiet",
                        "--build-context", f"base=oci-layout://{support.base_layout()}", "-f", "-", work],
                       input="FROM base\n", text=True, check=True, stdout=subprocess.DEVNULL)
        for test in TESTS:
            try:
                test(Place(work / test.__name__, cbuild, registry))
                print(f"ok      {test.__name__}")
            except support.Failure as failure:
                failed += 1
                print(f"FAILED  {test.__name__}: {failure}")
    return 1 if failed else 0


sys.exit(main())
