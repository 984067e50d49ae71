# SPDX-License-Identifier: Apache-2.0
"""fake_engine.py DIR COMMAND...: runs the command while an engine with docker's API listens at DIR/sock, which DOCKER_HOST names. The engine keeps
no images: the archive of a load is DIR/loaded.tar, the requests are in DIR/calls, and its driver is what DIR/driver holds."""
import http.server
import json
import os
import pathlib
import socketserver
import subprocess
import sys
import threading

place = pathlib.Path(sys.argv[1]).resolve()


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Engine(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def address_string(self):
        return ""

    def answer(self, body):
        with open(place / "calls", "a") as calls:
            calls.write(f"{self.command} {self.path}\n")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        driver = (place / "driver").read_text() if (place / "driver").exists() else "[]"
        known = {"/version": {"Components": [{"Name": "Engine"}]}, "/info": {"DriverStatus": json.loads(driver)}}
        self.answer(json.dumps(known.get(path, [])).encode())

    def do_POST(self):
        with open(place / "loaded.tar", "wb") as archive:
            while size := int(self.rfile.readline().strip(), 16):
                archive.write(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        self.answer(b'{"stream":"Loaded image"}\n')


place.mkdir(exist_ok=True)
with Server(str(place / "sock"), Engine) as server:
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    code = subprocess.run(sys.argv[2:], env={**os.environ, "DOCKER_HOST": f"unix://{place}/sock"}, check=False).returncode
    server.shutdown()
(place / "sock").unlink()
sys.exit(code)
