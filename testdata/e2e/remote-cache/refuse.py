# SPDX-License-Identifier: Apache-2.0
"""refuse.py unauthorised|slow COMMAND...: runs a command next to a registry on a loopback port that refuses everybody, or never
answers; {} in the command is its address."""
import http.server
import subprocess
import sys
import threading

done = threading.Event()


class Refusal(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if sys.argv[1] == "slow":
            done.wait(120)
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="nobody"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"127.0.0.1:{server.server_address[1]}"
code = subprocess.run([word.replace("{}", address) for word in sys.argv[2:]], stderr=subprocess.STDOUT).returncode
done.set()
sys.exit(code)
