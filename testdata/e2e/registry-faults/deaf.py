"""Runs a command while servers on loopback take connections: ${DEAF} never says a word, ${DRIP} answers over HTTP with a byte every 0.2 s, ${PACK} does so over the
git protocol. Exits with the command's code."""
import os
import socket
import subprocess
import sys
import threading
import time


HEADS = {"DRIP": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "PACK": b"f000"}


def drip(listener, head):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=feed, args=(connection, head), daemon=True).start()


def feed(connection, head):
    with connection:
        try:
            connection.sendall(head)
            while True:
                connection.sendall(b"x")
                time.sleep(0.2)
        except OSError:
            return  # the client has gone


listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in ("DEAF", *HEADS)}
for name, head in HEADS.items():
    threading.Thread(target=drip, args=(listeners[name], head), daemon=True).start()
names = {name: f"127.0.0.1:{one.getsockname()[1]}" for name, one in listeners.items()}
command = sys.argv[1:]
for name, address in names.items():
    command = [word.replace(name, address) for word in command]
sys.exit(subprocess.run(command, env={**os.environ, **names}, check=False).returncode)
