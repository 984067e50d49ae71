#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""collector.py STATUS COMMAND...: runs a command with a collector of traces, and prints the requests that it sent and
its exit code. STATUS is the collector's answer; "silent": it never answers."""
import http.server
import json
import os
import subprocess
import sys
import threading

seen = []


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        seen.append((self.path, self.headers["Content-Type"], self.headers["X-Key"], json.loads(body)))
        if sys.argv[1] == "silent":
            ended.wait()
            return
        self.send_response(int(sys.argv[1]))
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


ended = threading.Event()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}/", "OTEL_SERVICE_NAME": "ci",
       "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b", "TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
done = subprocess.run(sys.argv[2:], env=env, capture_output=True, text=True)
ended.set()
for path, kind, key, body in seen:
    part = body["resourceSpans"][0]
    spans = part["scopeSpans"][0]["spans"]
    print(path, kind, key, part["resource"]["attributes"][0]["value"]["stringValue"], sorted({span["traceId"] for span in spans}))
    for span in spans:
        length = int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])
        print(" span", span["name"], "parent" if span.get("parentSpanId") == "b7ad6b7169203331" else "child", "long" if length > 10**8 else "")
print("exit", done.returncode, "requests", len(seen))
print("\n".join(line for line in done.stderr.splitlines() if line.startswith("NOTE: the trace")))
