# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the cache service of GitHub Actions, version 2, with blobs in Azurite behind signed URLs.

  POST /twirp/github.actions.results.api.v1.CacheService/METHOD   the service; entries cannot be changed, are seen by scope, and
       are found by their key or, the newest first, by its beginning
  GET /repos/o/r/actions/caches   GitHub's REST API, for the token "rest"
  POST /remove?key=BEGINNING      entries go, as the service removes those over 10 GB
  GET /log                        "METHOD KEY" of the calls since the last GET, one a line
"""
import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import threading
import urllib.parse
import urllib.request

ACCOUNT = "devstoreaccount1"  # that of every emulator; its key is public
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SCOPES = {"main": [("refs/heads/main", 3)], "topic": [("refs/heads/topic", 3), ("refs/heads/main", 1)]}


def token(name, expires=4_000_000_000):
    claims = {"ac": json.dumps([{"Scope": scope, "Permission": bits} for scope, bits in SCOPES[name]]), "exp": expires, "nbf": 1, "job": name}
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{middle}.c2lnbmVk"


def account_query():
    """A shared access signature for everything in the account."""
    fields = {"sv": "2018-11-09", "ss": "b", "srt": "sco", "sp": "rwdlac", "se": "2090-01-01T00:00:00Z"}
    text = "\n".join([ACCOUNT, fields["sp"], fields["ss"], fields["srt"], "", fields["se"], "", "", fields["sv"], ""])
    sig = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    return urllib.parse.urlencode({**fields, "sig": sig})


class Service(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, azure):
        super().__init__(("127.0.0.1", 0), Handler)
        self.azure, self.entries, self.log, self.lock = azure, [], [], threading.Lock()

    def blob_url(self, entry):
        return f"{self.azure}/{ACCOUNT}/actions-cache/{entry['blob']}?{account_query()}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        with self.server.lock:
            if path == "/log":
                log, self.server.log = self.server.log, []
                return self.answer(200, "".join(line + "\n" for line in log))
            if path != "/repos/o/r/actions/caches" or self.headers.get("Authorization") != "Bearer rest":
                return self.answer(403, {"message": "no"})
            self.server.log.append("list " + query)
            fields = urllib.parse.parse_qs(query)
            first, count = int(fields["page"][0]) - 1, int(fields["per_page"][0])
            found = [e for e in self.server.entries if e["done"] and e["key"].startswith(fields["key"][0])]
            return self.answer(200, {"total_count": len(found), "actions_caches": [
                {"key": e["key"], "version": e["version"], "ref": e["scope"], "size_in_bytes": e["size"]}
                for e in found[first * count:(first + 1) * count]]})

    def do_POST(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            if path == "/remove":
                beginning = urllib.parse.parse_qs(query)["key"][0]
                self.server.entries = [e for e in self.server.entries if not e["key"].startswith(beginning)]
                return self.answer(200, {})
            jobs = {"Bearer " + token(name): scopes for name, scopes in SCOPES.items()}
            scopes = jobs.get(self.headers.get("Authorization"))
            if scopes is None:
                return self.answer(401, {"code": "unauthenticated", "msg": "bad token"})
            prefix = "/twirp/github.actions.results.api.v1.CacheService/"
            if not path.startswith(prefix) or self.headers.get("Content-Type") != "application/json":
                return self.answer(404, {"code": "bad_route", "msg": path})
            request = json.loads(body)
            method = path[len(prefix):]
            self.server.log.append(f"{method} {request['key']}")
            return getattr(self, method)(request, scopes)

    def CreateCacheEntry(self, request, scopes):
        scope = [name for name, bits in scopes if bits & 2][-1]
        entries = self.server.entries
        if any((e["scope"], e["key"], e["version"]) == (scope, request["key"], request["version"]) for e in entries):
            return self.answer(409, {"code": "already_exists", "msg": "cache entry with the same key, version, and scope already exists"})
        entry = {"scope": scope, "key": request["key"], "version": request["version"], "blob": f"{len(entries)}-{id(request)}", "done": False, "size": 0}
        entries.append(entry)
        return self.answer(200, {"ok": True, "signed_upload_url": self.server.blob_url(entry)})

    def FinalizeCacheEntryUpload(self, request, scopes):
        for entry in self.server.entries:
            if entry["key"] == request["key"] and entry["scope"] in [name for name, bits in scopes if bits & 2]:
                entry["done"], entry["size"] = True, int(request["size_bytes"])
                return self.answer(200, {"ok": True, "entry_id": "1"})
        return self.answer(404, {"code": "not_found", "msg": "no such entry"})

    def GetCacheEntryDownloadURL(self, request, scopes):
        for scope, _ in scopes:
            there = [e for e in self.server.entries if e["done"] and e["scope"] == scope and e["version"] == request["version"]]
            for found in ([e for e in there if e["key"] == request["key"]],
                          [e for e in there if any(e["key"].startswith(key) for key in request["restore_keys"])]):
                if found:
                    return self.answer(200, {"ok": True, "signed_download_url": self.server.blob_url(found[-1]), "matched_key": found[-1]["key"]})
        return self.answer(200, {"ok": False, "signed_download_url": "", "matched_key": ""})


@contextlib.contextmanager
def serve(azure):
    """The address of a service whose blobs lie in the Azurite at `azure`."""
    container = urllib.request.Request(f"{azure}/{ACCOUNT}/actions-cache?restype=container&{account_query()}", method="PUT")
    with urllib.request.urlopen(container, timeout=60):
        pass
    service = Service(azure)
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{service.server_address[1]}"
    finally:
        service.shutdown()
        service.server_close()
        thread.join()
