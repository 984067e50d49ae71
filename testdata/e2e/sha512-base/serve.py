"""Serves the OCI layout DIR as repository "base" of a registry that can only be read, until stdin ends. Writes its port into the file PORT and each request into LOG."""
import http.server
import json
import pathlib
import sys
import threading

layout, port_file, log = map(pathlib.Path, sys.argv[1:])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        with open(log, "a", encoding="utf-8") as lines:
            lines.write(self.path + "\n")
        name = self.path.rpartition("/")[2]
        entry = json.loads((layout / "index.json").read_text())["manifests"][0]
        blob = layout / "blobs" / (entry["digest"] if name == "latest" else name).replace(":", "/")
        found = self.path == "/v2/" or blob.is_file()
        body = blob.read_bytes() if self.path != "/v2/" and found else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", entry["mediaType"] if "/manifests/" in self.path else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
temporary = port_file.with_suffix(".part")
temporary.write_text(str(server.server_address[1]))
temporary.rename(port_file)
sys.stdin.read()
