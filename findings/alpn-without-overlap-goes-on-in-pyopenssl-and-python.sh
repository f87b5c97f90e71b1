#!/bin/sh
# pyOpenSSL 26.4.0 and Python's ssl: a server that speaks h2 and http/1.1, and a client that offers only "other", have no
# protocol in common.  RFC 7301, section 3.2, has the server send the fatal alert no_application_protocol.  Neither does:
# the handshake ends well and no protocol is agreed on; in pyOpenSSL also when the callback returns
# NO_OVERLAPPING_PROTOCOLS, which by its name is the refusal.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyopenssl==26.4.0'
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2 -keyout "$folder/key" -out "$folder/cert" 2> /dev/null
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import socket
import ssl
import sys
import threading

import OpenSSL
from OpenSSL import SSL

folder = sys.argv[1]


def with_ssl(sock):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/cert", f"{folder}/key")
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.wrap_socket(sock, server_side=True).sendall(b"x")


def with_pyopenssl(sock):
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_file(f"{folder}/cert")
    context.use_privatekey_file(f"{folder}/key")
    context.set_alpn_select_callback(lambda _connection, _offered: SSL.NO_OVERLAPPING_PROTOCOLS)
    connection = SSL.Connection(context, sock)
    connection.set_accept_state()
    connection.do_handshake()
    connection.sendall(b"x")


def outcome(serve):
    ours, theirs = socket.socketpair()
    server = threading.Thread(target=serve, args=(ours,))
    server.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["other"])
    client = context.wrap_socket(theirs)
    found = client.selected_alpn_protocol(), client.recv(1)
    server.join()
    return found


print("Python", sys.version.split()[0], "pyOpenSSL", OpenSSL.__version__)
for serve in (with_ssl, with_pyopenssl):
    found = outcome(serve)
    print(serve.__name__, "handshake went well; agreed on", found[0], "and received", found[1])
    assert found == (None, b"x"), "it is refused now"
PYTHON
