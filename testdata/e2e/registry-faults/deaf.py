"""Runs a command while two servers on loopback take connections: ${DEAF} never says a word, ${DRIP} answers with a byte every 0.2 s. Exits with the command's code."""
import os
import socket
import subprocess
import sys
import threading
import time


def drip(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=feed, args=(connection,), daemon=True).start()


def feed(connection):
    with connection:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                connection.sendall(b"x")
                time.sleep(0.2)
        except OSError:
            return  # the client has gone


listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
threading.Thread(target=drip, args=(listeners[1],), daemon=True).start()
names = {name: f"127.0.0.1:{one.getsockname()[1]}" for name, one in zip(("DEAF", "DRIP"), listeners)}
command = [word.replace("DEAF", names["DEAF"]).replace("DRIP", names["DRIP"]) for word in sys.argv[1:]]
sys.exit(subprocess.run(command, env={**os.environ, **names}, check=False).returncode)
