# SPDX-License-Identifier: Apache-2.0
"""drip.py REGISTRY COMMAND...: runs a command next to a slow way to a registry, whose address {} in the command is. All but the
beginning of large blobs comes at 3 KB a second."""
import http.client
import http.server
import subprocess
import sys
import threading

LARGE, STEP, PAUSE = 100_000, 300, 0.1
done = threading.Event()


class Drip(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        upstream = http.client.HTTPConnection(sys.argv[1])
        upstream.request(self.command, self.path, headers={"Accept": self.headers.get("Accept", "*/*")})
        answer = upstream.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name in ("Content-Type", "Content-Length", "Docker-Content-Digest"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        if len(body) < LARGE:
            self.wfile.write(body)
            return
        try:
            for at in range(0, len(body), STEP):
                self.wfile.write(body[at:at + STEP])
                if done.wait(PAUSE):
                    return
        except OSError:
            return  # it is not waited for any longer

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Drip)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"127.0.0.1:{server.server_address[1]}"
code = subprocess.run([word.replace("{}", address) for word in sys.argv[2:]], stderr=subprocess.STDOUT).returncode
done.set()
sys.exit(code)
