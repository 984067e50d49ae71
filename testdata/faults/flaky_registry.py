# SPDX-License-Identifier: Apache-2.0
"""A proxy before a registry that disturbs chosen exchanges. It asks for tokens if it is told to, and sends blobs through a second server, its
storage, whose URLs are signed. Breaches of the protocol by the client are collected in `violations`."""
import contextlib
import http.client
import http.server
import json
import socket
import struct
import threading
import time
import urllib.parse

# What can happen to an exchange; the numbers are relative frequencies.
FAULTS = {
    "drop": 3,        # the connection ends before an answer
    "reset": 2,       # the same with RST
    "lost": 3,        # the registry did it, and the answer is lost
    "cut": 4,         # the body ends in the middle
    "corrupt": 3,     # a byte of the body is another one
    "long": 2,        # Content-Length is too large
    "short": 2,       # Content-Length is too small
    "garbage": 2,     # not HTTP
    "page": 2,        # a page of a proxy, with 200
    "busy": 3,        # 429 with Retry-After
    "error": 4,       # 500, 502, 503
    "stall": 1,       # no answer
    "slow": 2,        # an answer in small parts
    "expired": 2,     # 401 for a token that was good
    "redirect": 3,    # to the storage
    "loop": 1,        # to itself
    "whole": 2,       # a Range is not heeded
    "odd-range": 1,   # a Content-Range of another place
}


class Dropped(Exception):
    pass


class Proxy(http.server.ThreadingHTTPServer):
    """`plan`: fault by number of the exchange. `uses`: exchanges that a token is good for; 0: none is asked for."""
    daemon_threads = True

    def __init__(self, registry, plan, uses, random, storage_of=None):
        super().__init__(("127.0.0.1", 0), Exchange)
        self.registry, self.plan, self.uses, self.random, self.storage_of = registry, plan, uses, random, storage_of
        self.lock, self.count, self.tokens, self.violations, self.log = threading.Lock(), 0, {}, [], []
        self.storage = None if storage_of else Proxy(registry, {}, 0, random, storage_of=self)
        self.expired_once = False
        self.ended = threading.Event()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass

    def next_fault(self, what):
        with self.lock:
            number, self.count = self.count, self.count + 1
            fault = self.plan.get(number)
            self.log.append(f"{number} {what} {fault or ''}".rstrip())
            return fault

    def is_authorized(self, header):
        if not self.uses:
            return True
        with self.lock:
            token = (header or "").removeprefix("Bearer ")
            if self.tokens.get(token, 0) <= 0:
                return False
            self.tokens[token] -= 1
            return True

    def new_token(self):
        with self.lock:
            token = f"token-{len(self.tokens)}"
            self.tokens[token] = self.uses
            return token


@contextlib.contextmanager
def flaky_registry(registry, plan, uses, random):
    proxy = Proxy(registry, plan, uses, random)
    servers = [proxy, proxy.storage]
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield proxy
    finally:
        proxy.ended.set()
        for server, thread in zip(servers, threads):
            server.shutdown()
            thread.join()
            server.server_close()


class Exchange(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_):
        pass

    def read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().strip(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def exchange(self):
        try:
            body = self.read_body()
            if self.server.storage_of:
                return self.from_storage(body)
            if urllib.parse.urlsplit(self.path).path == "/token":
                return self.token()
            self.to_registry(body)
        except (Dropped, OSError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = exchange

    def token(self):
        fault = self.server.next_fault("token")
        if fault in ("error", "busy", "drop"):
            return self.disturb(fault)
        answer = json.dumps({"token": self.server.new_token(), "expires_in": 300}).encode()
        self.answer(200, [("Content-Type", "application/json")], answer)

    def to_registry(self, body):
        if not self.server.is_authorized(self.headers.get("Authorization")):
            return self.challenge()
        fault = self.server.next_fault(f"{self.command} {self.path}")
        if fault == "expired" and not self.server.uses:
            fault = "error"
        if fault in ("redirect", "loop") and not (self.command == "GET" and "/blobs/sha256:" in self.path):
            fault = "error"
        if fault in ("drop", "reset", "garbage", "page", "busy", "error", "stall", "expired", "redirect", "loop"):
            return self.disturb(fault)
        self.send(*self.ask_registry(body, drop_range=fault == "whole"), fault)

    def from_storage(self, body):
        if self.headers.get("Authorization"):
            self.server.storage_of.violations.append("the storage got an Authorization header")
        with self.server.lock:
            expired, self.server.expired_once = not self.server.expired_once and self.server.random.random() < 0.5, True
        if expired:
            return self.answer(403, [], b"<Error>Request has expired</Error>")
        self.path = self.path.partition("?")[0]
        self.send(*self.ask_registry(body), None)

    def disturb(self, fault):
        """Faults that the registry never hears of."""
        random = self.server.random
        if fault == "stall":
            self.server.ended.wait(20)
        if fault in ("drop", "stall"):
            raise Dropped
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            raise Dropped
        if fault == "garbage":
            self.wfile.write(bytes(random.randrange(256) for _ in range(200)))
            raise Dropped
        if fault == "page":
            return self.answer(200, [("Content-Type", "text/html")], b"<html><body>Please sign in</body></html>")
        if fault == "busy":
            return self.answer(429, [("Retry-After", str(random.choice([0, 1])))], b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}')
        if fault == "error":
            return self.answer(random.choice([500, 502, 503]), [], b"<html>upstream</html>")
        if fault == "expired":
            return self.challenge(error="invalid_token")
        place = self.path if fault == "loop" else f"http://{self.server.storage.address}{self.path}?sig=secret"
        self.answer(307, [("Location", place)], b"")

    def challenge(self, error=None):
        value = f'Bearer realm="http://{self.server.address}/token",service="tests",scope="repository:any:pull,push"'
        self.answer(401, [("WWW-Authenticate", value + (f',error="{error}"' if error else ""))], b"{}")

    def ask_registry(self, body, drop_range=False):
        host, port = self.server.registry.split(":")
        skipped = {"host", "authorization", "connection", "transfer-encoding", "content-length"} | ({"range"} if drop_range else set())
        headers = {name: value for name, value in self.headers.items() if name.lower() not in skipped}
        if body or self.command in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(body))
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body if body else None, headers)
            answer = connection.getresponse()
            content = answer.read()
        kept = [(name, value.replace(self.server.registry, self.server.address) if name.lower() == "location" else value)
                for name, value in answer.getheaders() if name.lower() not in ("connection", "transfer-encoding", "date", "server")]
        return answer.status, kept, content

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send(self, status, headers, body, fault):
        """The registry's answer, disturbed."""
        if fault == "lost":
            raise Dropped
        random, length = self.server.random, len(body)
        if fault == "corrupt" and body:
            place = random.randrange(length)
            body = body[:place] + bytes([body[place] ^ (1 << random.randrange(8))]) + body[place + 1:]
        stated = {"long": length + 1 + random.randrange(1000), "short": random.randrange(length + 1)}.get(fault, length)
        self.send_response(status)
        for name, value in headers:
            if name.lower() == "content-length" and self.command != "HEAD":
                value = str(stated)
            if name.lower() == "content-range" and fault == "odd-range":
                value = value.replace("bytes ", "bytes 1")
            self.send_header(name, value)
        if "content-length" not in [name.lower() for name, _ in headers] and status != 204:
            self.send_header("Content-Length", str(stated))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "cut" and body:
            body = body[:random.randrange(length)]
        if fault == "slow":
            for start in range(0, min(length, 400), 40):
                self.wfile.write(body[start:start + 40])
                time.sleep(0.02)
            body = body[400:]
        self.wfile.write(body)
        if fault in ("cut", "long", "short"):
            self.wfile.flush()
            raise Dropped
