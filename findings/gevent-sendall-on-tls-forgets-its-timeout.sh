#!/bin/sh
# gevent 26.9: the timeout of a socket bounds sendall as a whole on a plain socket, as Python has it, but on one of gevent.ssl
# it begins anew with each piece that the peer takes: a peer that reads a little now and then holds a sendall with a timeout
# of half a second many times as long, ten times here.  Python's own ssl keeps to the time on the same connection.
# gevent.Timeout around the call bounds it.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'gevent==26.9.0' 'trustme==1.2.1'
"$folder/venv/bin/python" - <<'PYTHON'
import platform
import socket
import ssl
import sys
import threading
import time

import gevent
import gevent.socket
import gevent.ssl
import trustme

print("gevent", gevent.__version__, "Python", platform.python_version(), ssl.OPENSSL_VERSION)
authority = trustme.CA()
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server)
TIMEOUT = 0.5


def slow_reader(tls):
    """The port of a peer that takes 8 KiB every tenth of a second."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def read():
        peer = listener.accept()[0]
        try:
            peer = server.wrap_socket(peer, server_side=True) if tls else peer
            while peer.recv(8192):
                time.sleep(0.1)
        except OSError:
            pass

    threading.Thread(target=read, daemon=True).start()
    return listener.getsockname()[1]


def send(of_socket, of_ssl, tls, seen, name):
    sock = of_socket.socket()
    sock.setsockopt(of_socket.SOL_SOCKET, of_socket.SO_SNDBUF, 4096)
    sock.connect(("127.0.0.1", slow_reader(tls)))
    if tls:
        context = of_ssl.SSLContext(of_ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        sock = context.wrap_socket(sock, server_hostname="localhost")
    sock.settimeout(TIMEOUT)
    began = time.monotonic()
    try:
        sock.sendall(bytes(400_000))
        outcome = "sent"
    except of_socket.timeout:
        outcome = "timed out"
    seen[name] = outcome, time.monotonic() - began
    sock.close()


seen = {}
for tls in (False, True):
    kind = "TLS" if tls else "plain"
    send(socket, ssl, tls, seen, f"Python, {kind}")
    gevent.spawn(send, gevent.socket, gevent.ssl, tls, seen, f"gevent, {kind}").join()
for name, (outcome, seconds) in seen.items():
    print(f"{name}: {outcome} after {seconds:.1f} seconds, with a timeout of {TIMEOUT}")
forgets = seen.pop("gevent, TLS")
sys.exit(forgets[1] < 6 * TIMEOUT or any(outcome != "timed out" or took > 4 * TIMEOUT for outcome, took in seen.values()))
PYTHON
