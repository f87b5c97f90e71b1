#!/bin/sh
# A port beyond 65535 is no error to whoever asks the C library for addresses: getaddrinfo cuts it to 16 bits, and a typing
# mistake, 95672 for 5672, or a sum that went too far reaches whatever listens at the port less 65536.  So do gevent 26.9's
# and Python's create_connection, http.client and urllib, pika 1.4 and bash.  socket.connect, asyncio, requests and curl
# refuse; so whether a wrong port is told depends on who is asked.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'gevent==26.9.0' 'pika==1.4.4' 'requests==2.34.2'
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import http.client
import platform
import socket
import subprocess
import sys
import threading
import urllib.request

import gevent
import gevent.socket
import pika
import requests

print("gevent", gevent.__version__, "pika", pika.__version__, "Python", platform.python_version(), *platform.libc_ver())
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1] + 65536
visits = []


def serve():
    while True:
        client, _ = listener.accept()
        visits.append(client)
        with client:
            if client.recv(8) == b"GET / HT":
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


threading.Thread(target=serve, daemon=True).start()


def ask():
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/")
    return connection.getresponse().status


WAYS = {
    "socket.create_connection": lambda: socket.create_connection(("127.0.0.1", port)).close(),
    "gevent.socket.create_connection": lambda: gevent.socket.create_connection(("127.0.0.1", port)).close(),
    "http.client": ask,
    "urllib": lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/").close(),
    "pika": lambda: pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port)),
    "bash": lambda: subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"]),
    "socket.connect": lambda: socket.socket().connect(("127.0.0.1", port)),
    "asyncio": lambda: asyncio.run(asyncio.open_connection("127.0.0.1", port)),
    "requests": lambda: requests.get(f"http://127.0.0.1:{port}/"),
}
reached = []
for name, way in WAYS.items():
    before = len(visits)
    try:
        way()
        told = "no error"
    except Exception as error:
        told = type(error).__name__
    gevent.sleep(0.2)
    if len(visits) > before:
        reached.append(name)
    print(f"{name}: {'reaches the server' if len(visits) > before else 'reaches nobody'}, {told}")
sys.exit(reached != list(WAYS)[:6])
PYTHON
