# SPDX-License-Identifier: Apache-2.0
"""Loopback servers of a case: files over HTTP, repositories over smart and dumb HTTP and the git protocol.

/PATH             the file www/PATH, as www/PATH.meta (JSON) says:
  etag, last_modified   validators; conditional requests get 304
  authorization         the required Authorization header, else 401
  status, location      another answer than 200
  cut                   the connection ends after so many bytes of the announced body
  encoding              gzip: the file is sent compressed, with that Content-Encoding
/git/NAME.git/…   git http-backend on repos/NAME.git, with the authorization of repos/NAME.meta
/dumb/NAME.git/…  the same as plain files, for which git update-server-info must have run
"""
import contextlib
import gzip
import http.client
import http.server
import json
import os
import pathlib
import socketserver
import subprocess
import threading
import time
import urllib.parse


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, www, repos):
        super().__init__(("127.0.0.1", 0), Handler)
        self.www, self.repos, self.log = www, repos, []

    @property
    def port(self):
        return self.server_address[1]

    def take_log(self):
        log, self.log = self.log, []
        return log


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path, _, query = self.path.partition("?")
        path = urllib.parse.unquote(path)
        if path.startswith("/git/"):
            return self.backend(path[5:], query)
        root = self.server.repos if path.startswith("/dumb/") else self.server.www
        self.file(root / path.removeprefix("/dumb/").lstrip("/"))

    do_POST = do_GET
    do_HEAD = do_GET

    def answer(self, status, body=b"", headers=(), length=None):
        self.server.log.append(f"{self.command} {self.path.partition('?')[0]} {status}"
                               + (" authorized" if "Authorization" in self.headers else ""))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)

    def allowed(self, meta):
        wanted = meta.get("authorization")
        if wanted is None or self.headers.get("Authorization") == wanted:
            return True
        self.answer(401, b"who are you?", [("WWW-Authenticate", 'Basic realm="test"')])
        return False

    def file(self, path):
        meta = read_meta(path)
        if not self.allowed(meta):
            return None
        headers = [(name, meta[key]) for key, name in (("etag", "ETag"), ("last_modified", "Last-Modified"), ("location", "Location"))
                   if key in meta]
        if "status" in meta:
            return self.answer(meta["status"], b"", headers)
        if not path.is_file():
            return self.answer(404, b"<html>no such file</html>")
        if self.is_known(meta):
            return self.answer(304, b"", headers)
        body = path.read_bytes()
        if meta.get("encoding") == "gzip":
            body = gzip.compress(body, mtime=0)
            headers.append(("Content-Encoding", "gzip"))
        if "cut" in meta:
            self.answer(200, body[:meta["cut"]], headers, length=len(body))
            self.close_connection = True
            return None
        return self.answer(200, body, headers)

    def is_known(self, meta):
        tags = self.headers.get("If-None-Match")
        if tags is not None:
            return meta.get("etag") in [tag.strip() for tag in tags.split(",")]
        since = self.headers.get("If-Modified-Since")
        return since is not None and since == meta.get("last_modified")

    def backend(self, path, query):
        name = path.partition(".git")[0]
        if not self.allowed(read_meta(self.server.repos / name)):
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.read_chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.server.repos), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": "/" + path,
               "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
               "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "REMOTE_USER": "test", "REMOTE_ADDR": "127.0.0.1",
               "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self.answer(status, content, [(name, value) for name, value in headers if name != "Status"])

    def read_chunks(self):
        body = b""
        while size := int(self.rfile.readline().strip(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


def read_meta(path):
    meta = path.with_name(path.name + ".meta")
    return json.loads(meta.read_text()) if meta.is_file() else {}


@contextlib.contextmanager
def http_servers(context):
    """Two servers on the same files, so that a redirect can lead to another origin."""
    servers = [Server(context / "www", context / "repos") for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield servers
    finally:
        for server, thread in zip(servers, threads):
            server.shutdown()
            thread.join()
            server.server_close()


class BlobCounter(http.server.ThreadingHTTPServer):
    """Passes all on to a registry and counts the bytes of blobs that went down (to the client) and up."""
    daemon_threads = True

    def __init__(self, registry):
        super().__init__(("127.0.0.1", 0), CountedExchange)
        self.ranges = True
        self.registry, self.lock, self.moved = registry, threading.Lock(), {"down": 0, "up": 0}

    def count(self, way, size):
        with self.lock:
            self.moved[way] += size

    def take(self):
        with self.lock:
            moved, self.moved = self.moved, {"down": 0, "up": 0}
        return moved


class CountedExchange(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def read_part(self, size):
        """The parts of so many bytes of the body."""
        while size > 0 and (part := self.rfile.read(min(size, 1 << 16))):
            size -= len(part)
            if "/blobs/" in self.path:
                self.server.count("up", len(part))
            yield part

    def request_body(self):
        if not self.is_chunked():
            yield from self.read_part(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline().strip(), 16):
            yield from self.read_part(size)
            self.rfile.readline()
        self.rfile.readline()

    def is_chunked(self):
        return self.headers.get("Transfer-Encoding") == "chunked"

    def exchange(self):
        host, _, port = self.server.registry.partition(":")
        upstream = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect") and (self.server.ranges or name.lower() != "range"):
                    upstream.putheader(name, value)
            upstream.endheaders(self.request_body(), encode_chunked=self.is_chunked())
            self.pass_back(upstream.getresponse())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has read as much as it wanted
        finally:
            upstream.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = exchange

    def pass_back(self, response):
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        if response.getheader("Content-Length") is None and response.status not in (204, 304):
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        while part := response.read(1 << 16):
            if "/blobs/" in self.path:
                self.server.count("down", len(part))
            self.wfile.write(part)


@contextlib.contextmanager
def blob_counter(registry):
    server = BlobCounter(registry)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class EachConnection(socketserver.ThreadingTCPServer):
    """Listens itself and hands each connection to a process, as inetd does, so that no port is chosen before it is taken."""
    daemon_threads = True

    def __init__(self, argv, **how):
        super().__init__(("127.0.0.1", 0), None)
        self.argv, self.how, self.running = argv, how, []

    def finish_request(self, request, client_address):
        process = subprocess.Popen(self.argv, stdin=request, stdout=request, stderr=subprocess.DEVNULL, start_new_session=True, **self.how)
        self.running.append(process)
        process.wait()


@contextlib.contextmanager
def each_connection(argv, **how):
    """The port on 127.0.0.1."""
    with EachConnection(argv, **how) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
            for process in server.running:
                if process.poll() is None:
                    process.terminate()


def git_daemon(repos):
    """git://127.0.0.1:PORT on the same repositories."""
    return each_connection(["git", "daemon", "--inetd", "--export-all", f"--base-path={repos}", str(repos)],
                           env={**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"})


SSHD = """HostKey {home}/host
AuthorizedKeysFile {home}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
"""


@contextlib.contextmanager
def ssh_server(home):
    """ssh://root@127.0.0.1:PORT, and the socket of an agent that holds the only key it takes."""
    home.mkdir()
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)  # where sshd locks up its unprivileged half
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / key], check=True)
    (home / "sshd_config").write_text(SSHD.format(home=home))
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", home / "agent"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(600):
            if (home / "agent").exists():
                break
            time.sleep(0.05)
        subprocess.run(["ssh-add", "-q", home / "user"], check=True, env={**os.environ, "SSH_AUTH_SOCK": str(home / "agent")})
        with each_connection(["/usr/sbin/sshd", "-i", "-f", home / "sshd_config"]) as port:
            yield port, home / "agent"
    finally:
        agent.terminate()
        agent.wait()
