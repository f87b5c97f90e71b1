"""mtev.HttpClient against a stock HTTP server, on clear text and on TLS."""

import gzip
import http.server
import ssl
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from certificates import Authority
from stockserver import serving

PIECE = bytes(1_000_000)


class Stock(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: Any) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(body[::-1])

    def do_GET(self) -> None:
        text = b"a text that repeats " * 5000
        if self.path == "/gzip":
            self.answer(gzip.compress(text), "gzip")
        elif self.path == "/deflate":
            self.answer(zlib.compress(text), "deflate")
        elif self.path.startswith("/zeros/"):
            count = int(self.path[7:])
            self.send_response(200)
            self.send_header("Content-Length", str(count))
            self.end_headers()
            for _ in range(count // len(PIECE)):
                self.wfile.write(PIECE)
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(text), 777):
                piece = text[at : at + 777]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\nX-Trailer: yes\r\n\r\n")
        else:
            self.answer(self.path.encode())

    def answer(self, body: bytes, encoding: str = "") -> None:
        self.send_response(200)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def stock() -> Iterator[int]:
    with serving(Stock) as port:
        yield port


def test_bodies_of_every_kind_arrive_over_one_connection(lua: Any, stock: int) -> None:
    text = lua(
        f"""
        function main()
          local client = mtev.HttpClient:new()
          client:connect("127.0.0.1", {stock})
          for _, path in ipairs({{ "/plain", "/gzip", "/deflate", "/chunked" }}) do
            client:do_request("GET", path)
            local body = client:get_response()
            print(client.code, #body, body:sub(1, 6), client.content_bytes == #body, client.raw_bytes == #body)
          end
          print(client.trailers["X-Trailer"])
          client:do_request("POST", "/", nil, "abc")
          print(client:get_response())
          client:close()
          os.exit(0)
        end
        """
    )
    assert text.splitlines() == [
        "200\t6\t/plain\ttrue\ttrue",
        "200\t100000\ta text\ttrue\tfalse",
        "200\t100000\ta text\ttrue\tfalse",
        "200\t100000\ta text\ttrue\ttrue",
        "yes",
        "cba",
    ]


def test_tls_is_verified_and_told_of(lua: Any, tmp_path: Any) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("localhost", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with serving(Stock, context) as port:
        text = lua(
            f"""
            function main()
              local client = mtev.HttpClient:new({{ cachain = function() return "{authority.issued.certificate}" end }})
              print(client:connect("127.0.0.1", {port}, true, "localhost"))
              client:do_request("GET", "/secret")
              print(client:get_response(), client:ssl_ctx().san_list)
              client = mtev.HttpClient:new(nil, {{ ca_file = "{authority.issued.certificate}" }})
              print(client:connect("127.0.0.1", {port}, true, "elsewhere"))
              print(client:ssl_ctx().error ~= nil, client.e)
              os.exit(0)
            end
            """
        )
    assert text.splitlines() == [
        "0",
        "/secret\tlocalhost",
        "-1\tcertificate verify failed: Hostname mismatch, certificate is not valid for 'elsewhere'",
        "true\tnil",
    ]


def resident(lua: Any, port: int, count: int) -> int:
    """Bytes the memory of the process grew while a body of *count* bytes went by."""
    text = lua(
        f"""
        local function resident()
          for line in io.lines("/proc/self/status") do
            local kilobytes = line:match("^VmRSS:%s*(%d+)")
            if kilobytes then return tonumber(kilobytes) * 1024 end
          end
        end
        function main()
          local bytes = 0
          local client = mtev.HttpClient:new({{ consume = function(text) bytes = bytes + #text end }})
          client:connect("127.0.0.1", {port})
          local before = resident()
          client:do_request("GET", "/zeros/{count}")
          client:get_response()
          assert(bytes == {count})
          print(resident() - before)
          os.exit(0)
        end
        """
    )
    return int(text)


def test_a_gigabyte_passes_in_flat_memory(lua: Any, stock: int) -> None:
    assert resident(lua, stock, 1_000_000_000) < 30_000_000
