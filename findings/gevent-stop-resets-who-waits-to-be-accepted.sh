#!/bin/sh
# gevent 26.9.0: WSGIServer.stop(), documented as graceful ("stop accepting connections and close the listening socket",
# then wait for handlers), closes the listening socket while clients wait in its backlog.  They are connected, and may
# have sent their requests; the system resets them all.  A server that was busy for a moment as it was told to stop loses
# each of those requests, though it answers the one at hand.  Accepting once more before the stop saves them.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'gevent==26.9.0'
"$folder/venv/bin/python" - <<'PYTHON'
import socket
import sys
import time

import gevent
from gevent.pywsgi import WSGIServer


def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "3"), ("Connection", "close")])
    return [b"ok\n"]


def outcome(stop):
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    clients = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(10)]
    for client in clients:  # the loop has no turn in the meantime: it is busy
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    stop(server)
    found = []
    for client in clients:
        client.settimeout(5)
        try:
            found.append("answered" if b"200 OK" in client.recv(1000) else "ended")
        except ConnectionResetError:
            found.append("reset")
    return {each: found.count(each) for each in sorted(set(found))}


def accept_first(server):
    server.stop_timeout = 5
    gevent.sleep(0.2)
    server.stop()


print("gevent", gevent.__version__)
at_once, later = outcome(lambda server: server.stop(timeout=5)), outcome(accept_first)
print("stop() with 10 requests in the backlog:", at_once, " after a turn of the loop:", later)
sys.exit(0 if (at_once, later) == ({"reset": 10}, {"answered": 10}) else "gevent changed")
PYTHON
