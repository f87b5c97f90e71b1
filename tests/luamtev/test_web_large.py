"""A large answer to a client that takes it little by little: every byte of it comes, and what is asked behind it."""

import socket
import ssl
from pathlib import Path

import pytest
from certificates import Authority
from launching import free_port
from webprogram import Web, secure_listener

SIZE = 12 << 20
LARGE = """
function handler(rest)
  local http = rest:http()
  local number = tonumber(http:request():querystring("n"))
  local piece = (tostring(number)):rep(1024)
  http:write(piece:rep(12288))
  if number == 2 then http:flush() http:write("end") end
  http:flush_end()
end
"""


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_it_comes_whole_and_in_order(web: Web, secure: bool, tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("localhost", "localhost")
    port = free_port()
    web.start(LARGE, listeners=secure_listener(port, issued))
    web.await_port(port)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.settimeout(60)
    sock.connect(("127.0.0.1", port if secure else web.port))
    with trusting.wrap_socket(sock) if secure else sock as client:
        client.sendall(b"".join(b"GET /?n=%d HTTP/1.1\r\nHost: a\r\n\r\n" % each for each in (1, 2, 3)))
        with client.makefile("rb") as answers:
            for number in (1, 2, 3):
                assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
                head = dict(line.strip().lower().split(b": ") for line in iter(answers.readline, b"\r\n"))
                if b"content-length" in head:
                    body = answers.read(int(head[b"content-length"]))
                else:
                    body = b""
                    while size := int(answers.readline(), 16):
                        body += answers.read(size)
                        answers.readline()
                    answers.readline()
                assert body == b"%d" % number * SIZE + (b"end" if number == 2 else b"")
