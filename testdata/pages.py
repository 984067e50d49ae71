#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pages.py CBUILD SOURCES: help, manual pages and completions hold every flag that the sources declare, and the shells take them."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import interface
from support import Failure, check

DECLARED = re.compile(r'add_(?:option|flag)(?:_function)?(?:<[^(]*>)?\(\s*"(-[^"]+)"([^;]*);')
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
GROUPS = ["Arguments", "Input", "Output", "Cache", "Steps", "Progress", "Global"]
# Words typed so far, the last one not yet whole -> the offers of bash.
BASH = [
    (["cbuild", "pr"], {"prune"}),
    (["cbuild", "prune", "--al"], {"--all"}),
    (["cbuild", "--progress", "pl"], {"plain"}),
    (["cbuild", "--progress", "=", "pl"], {"plain"}),
    (["cbuild", "build", "--progress", "="], {"auto", "tty", "plain", "quiet", "rawjson", "events"}),
    (["cbuild", "--no-cache-f"], {"--no-cache-filter"}),
    (["cbuild", "history", "l"], {"ls", "logs"}),
    (["cbuild", "history", "logs", "--ra"], {"--raw"}),
    (["cbuild", "history", "ls", "--status", "f"], {"failed"}),
    (["cbuild", "completion", "z"], {"zsh"}),
    (["cbuild", "-f", "Dock"], {"Dockerfile"}),
    (["cbuild", "--tag", "x", "su"], {"sub"}),
    (["cbuild", "--tag", "su"], set()),
    (["cbuild", "--pull", "=", "al"], {"always"}),
    (["cbuild", "--pull", "su"], {"sub"}),
    (["cbuild", "-t", "x", "--root", "su"], {"sub"}),
]
PLUGIN = [("create",), ("imagetools", "create"), ("inspect",), ("ls",), ("rm",), ("use",)]
FISH = [("cbuild pru", "prune"), ("cbuild prune --al", "--all"), ("cbuild build --progress pl", "plain"),
        ("cbuild history logs --ra", "--raw"), ("cbuild --no-cache-f", "--no-cache-filter")]
ZSH = [("cbuild pru", "prune"), ("cbuild prune --dry", "--dry-run"), ("cbuild --progress pla", "plain"),
       ("cbuild history logs --ra", "--raw")]


def output(words, **options):
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, **options)
    check(done.returncode == 0 and not done.stderr, f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr}")
    return done.stdout


class Pages:
    def __init__(self, cbuild, sources, work):
        self.cbuild, self.sources, self.work = cbuild, sources, work
        output([sources / "packaging/pages.sh", cbuild, work])
        self.commands = (work / "commands").read_text().split()
        self.declared = set()
        for source in sorted((sources / "cli").rglob("*.cc")):
            for names, rest in DECLARED.findall(source.read_text()):
                if '->group("")' in rest:  # taken, but not shown
                    continue
                self.declared |= {name for name in names.split(",") if name.startswith("--")}
        # The commands of docker's plugin, which this program is under that name.
        self.plugin = {words: output(["docker-buildx", *words, "--help"], executable=cbuild) for words in PLUGIN}
        self.helps = {(name,): output([cbuild, name, "--help"]) for name in self.commands}
        for name in self.commands:
            listed = re.search(r"^Commands:\n((?:  .*\n)+)", self.helps[name,], re.M)
            for line in listed[1].splitlines() if listed else []:
                if re.match(r"  [a-z]", line):
                    self.helps[name, line.split()[0]] = output([cbuild, name, line.split()[0], "--help"])

    def flags(self, *command):
        """The first words of the lines of the help; words of the summaries are not looked at."""
        labels = re.findall(r"^  (?:-\w, |    )?(--[a-z-]+(?:, --[a-z-]+)*)", self.helps.get(command) or self.plugin[command], re.M)
        return {flag for label in labels for flag in label.split(", ")}


def help_has_every_flag(pages):
    shown = set().union(*(pages.flags(*command) for command in [*pages.helps, *pages.plugin]))
    check(len(pages.declared) > 60, f"only {len(pages.declared)} flags are declared")
    check(pages.declared <= shown, f"not in any help: {sorted(pages.declared - shown)}")


def help_reads_well(pages):
    for command, text in pages.helps.items():
        name = " ".join(command)
        for line in text.splitlines():
            check(len(line) <= 100, f"{name}: a line of {len(line)} columns: {line}")
        check(not re.search(r"\b(TEXT|UINT|INT|BOOLEAN|FLOAT)\b", text), f"{name}: a type of the library\n{text}")
        check(re.search(r"^Examples?:\n", text, re.M), f"{name}: no example")
        for example in re.findall(r"^  (?:.*<\()?(cbuild [^|>)]*)", text, re.M):
            known = set().union(*(pages.flags(*c) for c in pages.helps if c[0] in (command[0], example.split()[1])))
            check(set(FLAG.findall(example)) <= known, f"{name}: the example '{example}' has an unknown flag")
    groups = re.findall(r"^([A-Z][a-z]+):$", pages.helps["build",], re.M)
    check([g for g in groups if g in GROUPS] == GROUPS, f"groups: {groups}")


def manual_has_every_flag(pages):
    for command in pages.commands:
        page = pages.work / f"man/man1/cbuild-{command}.1"
        text = page.read_text()
        if text.startswith(".so "):
            text = (pages.work / "man" / text.split()[1]).read_text()
        bold = set(re.findall(r"\\fB(--[a-z-]+)\\fR", text.replace("\\-", "-")))
        wanted = set().union(*(pages.flags(*c) for c in pages.helps if c[0] == command))
        check(wanted == bold, f"{command}: not in the manual {sorted(wanted - bold)}, not in the help {sorted(bold - wanted)}")
        if shutil.which("groff"):
            done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", page if page.read_text()[0:3] != ".so" else
                                   pages.work / "man/man1/cbuild.1"], capture_output=True, text=True)
            check(done.returncode == 0 and not done.stderr, f"groff: {done.stderr}")


def completions_have_every_flag(pages):
    bash = pages.work / "completions/cbuild.bash"
    zsh, fish = ((pages.work / f"completions/cbuild.{shell}").read_text() for shell in ("zsh", "fish"))
    for command in pages.helps:
        wanted = pages.flags(*command)
        function = "_cbuild_" + "_".join(command)
        have = output(["bash", "--norc", "-c", f'. "$1"; {function}; echo "$flags"', "bash", bash]).split()
        check(wanted == {w for w in have if w.startswith("--")}, f"bash, {command}: {sorted(wanted ^ set(have))}")
        body = re.search(rf"^{function}\(\) {{\n(.*?)^}}", zsh, re.M | re.S)[1]
        have = set(re.findall(r"^    '(?:\*|\([^)]*\))?(--[a-z-]+)", body, re.M))
        check(wanted == have, f"zsh, {command}: {sorted(wanted ^ have)}")
        lines = re.findall(rf"^complete -c cbuild -n '__fish_cbuild_is {' '.join(command)}' (.*)", fish, re.M)
        have = {"--" + name for line in lines for name in re.findall(r"(?:^| )-l ([a-z-]+)", line.split(" -d ")[0])}
        check(wanted == have, f"fish, {command}: {sorted(wanted ^ have)}")


def interface_is_whole(pages):
    """What buildx offers has a test or a page here, and docs/interface.md says so."""
    check(not (found := interface.problems_of(pages.sources)), "\n".join(found))
    table = json.loads((pages.sources / "testdata/interface.json").read_text())
    offered = {row["name"] for row in table["flags"] if row["tests"]} - {"--builder"}  # taken, but not shown
    check(offered <= pages.flags("build"), f"not in the help: {sorted(offered - pages.flags('build'))}")


def bash_completes(pages):
    script = 'compopt() { :; }; . "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cbuild; printf "%s\\n" "${COMPREPLY[@]}"'
    place = pages.work / "place"
    (place / "sub").mkdir(parents=True)
    (place / "Dockerfile").touch()
    for words, wanted in BASH:
        have = set(output(["bash", "--norc", "-c", script, "bash", pages.work / "completions/cbuild.bash", *words], cwd=place).split())
        check(have == wanted, f"{words}: {have}, not {wanted}")
    registered = output(["bash", "--norc", "-c", '. "$1"; complete -p cbuild', "bash", pages.work / "completions/cbuild.bash"])
    check("-F _cbuild cbuild" in registered, registered)


def fish_completes(pages):
    if not shutil.which("fish"):
        return print("        skipped: no fish")
    for line, wanted in FISH:
        have = output(["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", pages.work / "completions/cbuild.fish", line],
                      env={"HOME": str(pages.work), "PATH": "/usr/bin:/bin"})
        check(wanted in [row.split("\t")[0] for row in have.splitlines()], f"{line}: {have}")
    return None


def zsh_completes(pages):
    """A zsh on a pseudo terminal completes the typed text at a tab."""
    if not shutil.which("zsh"):
        return print("        skipped: no zsh")
    functions = pages.work / "zsh"
    functions.mkdir()
    shutil.copy(pages.work / "completions/cbuild.zsh", functions / "_cbuild")
    script = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=PRO"MPT_"; fpath=('$1' $fpath); autoload -U compinit; compinit -u -d '$1'/dump; zstyle ":completion:*" list-colors'
zpty -m -r z out '*PROMPT_*'
zpty -n -w z "$2"$'\t'
zpty -n -w z ' E_N_D'
zpty -m -r z out '*E_N_D*'
print -r -- "$out"
zpty -d z
"""
    for line, wanted in ZSH:
        have = subprocess.run(["zsh", "-f", "-c", script, "zsh", functions, line], capture_output=True, text=True, timeout=120,
                              env={"HOME": str(pages.work), "PATH": "/usr/bin:/bin", "TERM": "vt100"})
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|[\x00-\x1f]", "", have.stdout)
        check(wanted in shown, f"{line}: {have.stdout!r} {have.stderr!r}")
    return None


def main():
    cbuild, sources = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        pages = Pages(cbuild, sources, pathlib.Path(work))
        for test in (help_has_every_flag, help_reads_well, manual_has_every_flag, completions_have_every_flag, interface_is_whole,
                     bash_completes, fish_completes, zsh_completes):
            try:
                test(pages)
                print(f"ok      {test.__name__}")
            except Failure as failure:
                failed += 1
                print(f"FAILED  {test.__name__}: {failure}")
    return 1 if failed else 0


sys.exit(main())
