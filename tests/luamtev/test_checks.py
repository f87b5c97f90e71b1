"""Modules as a monitoring product has them, written for the original (tests/data/checks), against real servers."""

import gzip
import hashlib
import http.server
import json
import re
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import pytest
from certificates import Authority
from stockserver import serving

CHECKS = Path(__file__).parents[1] / "data" / "checks"
REALM, NONCE, USER, PASSWORD = "here", "0af5", "monitor", "s3cret"


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: Any) -> None: ...

    def do_GET(self) -> None:
        if self.path.startswith("/secret"):
            self.secret()
        elif self.path == "/moved":
            self.reply(302, b"", Location="/moved/again")
        elif self.path == "/moved/again":
            self.reply(301, b"", Location=f"http://{self.headers['Host']}/plain")
        elif self.path == "/metrics.json":
            self.reply(200, json.dumps({"a": {"b": [1, 2.5]}, "up": True, "name": "x"}).encode())
        elif self.path == "/broken.json":
            self.reply(200, b'{"a": }')
        elif self.path == "/metrics.xml":
            body = b"<ResmonResults><ResmonResult><service>disk</service><metric name='used'>42</metric>"
            self.reply(200, body + b"<metric name='free'>58</metric></ResmonResult></ResmonResults>")
        else:
            self.reply(200, gzip.compress(b"load=0.5 users=12 " * 100), Content_Encoding="gzip")

    do_POST = do_GET

    def secret(self) -> None:
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', self.headers.get("Authorization") or ""))
        quality = "auth-int" if self.path.endswith("int") else "auth"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        expected = self.expected(given, quality, body) if given else None
        if expected is None or given.get("response") != expected:
            challenge = f'Digest realm="{REALM}", nonce="{NONCE}", qop="{quality}", opaque="z"'
            self.reply(401, b"who?", WWW_Authenticate=challenge)
        else:
            self.reply(200, b"the secret")

    def expected(self, given: dict[str, str], quality: str, body: bytes) -> str:
        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        request = f"{self.command}:{self.path}"
        if quality == "auth-int":
            request += ":" + hashlib.md5(body).hexdigest()
        parts = (md5(f"{USER}:{REALM}:{PASSWORD}"), NONCE, given["nc"], given["cnonce"], quality, md5(request))
        return md5(":".join(parts))

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def check(luamtev: Any) -> Any:
    """Runs a function of a check with its settings, in the real program; returns what it found."""

    def run(module: str, function: str, **settings: Any) -> Any:
        source = f"""
            module(..., package.seeall)
            require 'mtev'
            local check = require '{module}'
            function main()
              local ok, result = pcall(check.{function}, mtev.parsejson([==[{json.dumps(settings)}]==]):document())
              mtev.log("stdout", "%s\\n", mtev.tojson(ok and result or {{ error = tostring(result) }}):tostring())
              os.exit(0)
            end
        """
        done = luamtev("-L", f"+{CHECKS}/?.lua", "main.lua", source=source)
        assert done.stderr == b"", done.stderr
        return json.loads(done.stdout)

    return run


def test_a_page_is_checked_through_redirects_and_compression(check: Any) -> None:
    with serving(Site) as port:
        found = check(
            "check_http", "run", url=f"http://127.0.0.1:{port}/moved", redirects=2, extract="(\\w+)=([\\d.]+)"
        )
        assert (found["state"], found["code"], found["bytes"]) == ("good", 200, 1800)
        assert found["matches"][:2] == ["load=0.5", "users=12"] and len(found["matches"]) == 200
        assert check("check_http", "run", url=f"http://127.0.0.1:{port}/moved", redirects=1)["code"] == 301
        cut = check("check_http", "run", url=f"http://localhost:{port}/plain", read_limit=100)
        assert (cut["bytes"], cut["truncated"]) == (100, True)
    assert check("check_http", "run", url="http://127.0.0.1:1/")["message"] == "unable to connect: Connection refused"


def test_a_page_behind_digest_authentication_is_checked(check: Any) -> None:
    with serving(Site) as port:
        secret = {"url": f"http://127.0.0.1:{port}/secret", "user": USER}
        assert check("check_http", "run", password=PASSWORD, **secret)["body"] == "the secret"
        assert check("check_http", "run", password="wrong", **secret)["code"] == 401
        secret["url"] += "/int"
        assert check("check_http", "run", password=PASSWORD, **secret)["body"] == "the secret"


def test_what_tls_says_of_a_page_is_checked(check: Any, tmp_path: Path) -> None:
    files = Authority(tmp_path).issue("localhost", "localhost", days=9)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with serving(Site, context) as port:
        found = check("check_http", "run", url=f"https://localhost:{port}/plain")["ssl"]
        assert found["subject"] == "/C=US/O=Test/CN=localhost"
        assert (found["san"], found["bits"], found["method"], found.get("error")) == ("localhost", 256, 771, None)
        assert 8 * 86400 < found["left"] <= 9 * 86400 and found.get("mismatch") is None
        other = check("check_http", "run", url=f"https://127.0.0.1:{port}/plain")["ssl"]
        assert other["mismatch"] == "host header does not match CN or SANs in certificate"


def test_banners_are_checked_plain_and_over_tls(check: Any, tmp_path: Path) -> None:
    files = Authority(tmp_path).issue("banner")
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-rev", "-cert", files.certificate, "-key", files.key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = next(int(found[1]) for line in process.stdout if (found := re.match(r"ACCEPT \S+:(\d+)", line)))
        threading.Thread(target=process.stdout.read, daemon=True).start()
        found = check("check_tcp", "banner", target="127.0.0.1", port=port, tls=True, send="olleh\n", match="^hel+o")
        process.kill()
    assert (found["state"], found["banner"], found["subject"]) == ("good", "hello", "/C=US/O=Test/CN=banner")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            for greeting in (b"SSH-2.0-OpenSSH_9.2\r\n", b""):
                peer, _ = server.accept()
                with peer:
                    peer.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        target = {"target": "127.0.0.1", "port": server.getsockname()[1]}
        found = check("check_tcp", "banner", match="^SSH-2", **target)
        assert (found["state"], found["banner"], found["ip"]) == ("good", "SSH-2.0-OpenSSH_9.2", "127.0.0.1")
        assert check("check_tcp", "banner", **target)["message"] == "no banner"
        thread.join()
        assert check("check_tcp", "banner", timeout=0.1, **target)["message"] == "timeout"


def test_a_conversation_in_lines_is_checked(check: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard: list[bytes] = []

        def serve() -> None:
            peer, _ = server.accept()
            with peer, peer.makefile("rb") as lines:
                peer.sendall(b"220-mail.test\r\n220 ready\r\n")
                for line in lines:
                    heard.append(line.strip())
                    word = line.split()[0].upper()
                    if word == b"EHLO":
                        for piece in (b"250-mail.test\r", b"\n250-SIZE 1000\r\n250", b" 8BITMIME\r\n"):
                            peer.sendall(piece)
                    elif word == b"DATA":
                        peer.sendall(b"354 go\r\n")
                        while (text := lines.readline()) != b".\r\n":
                            heard.append(text.strip())
                        peer.sendall(b"250 kept\r\n")
                    else:
                        peer.sendall(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        found = check(
            "check_tcp",
            "smtp",
            target="127.0.0.1",
            port=server.getsockname()[1],
            ehlo="me",
            **{"from": "a@b", "to": "c@d"},
        )
        thread.join()
    assert found == {"state": "good", "extensions": 2}
    assert heard[:4] == [b"EHLO me", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>", b"DATA"] and heard[-1] == b"QUIT"


def test_documents_become_metrics(check: Any) -> None:
    with serving(Site) as port:
        target = {"target": "127.0.0.1", "port": port}
        found = check("check_data", "json", uri="/metrics.json", **target)
        assert found["metrics"] == {"a`b`1": 1, "a`b`2": 2.5, "up": True, "name": "x"}
        assert (
            "json parse error: value expected @6"
            in check("check_data", "json", uri="/broken.json", **target)["message"]
        )
        found = check("check_data", "xml", uri="/metrics.xml", **target)
        assert (found["root"], found["metrics"]) == ("ResmonResults", {"disk`used": "42", "disk`free": "58"})
        assert check("check_data", "xml", uri="/broken.json", **target)["message"] == "xml parse error"


def test_records_of_a_name_server_are_checked(check: Any) -> None:
    records = {"A": ["192.0.2.2", "192.0.2.1"], "TXT": ['"v=spf1" " -all"'], "MX": ["10 mx.test."]}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            for _ in range(len(records) + 1):
                data, peer = server.recvfrom(65535)
                query = dns.message.from_wire(data)
                response = dns.message.make_response(query)
                kind = dns.rdatatype.to_text(query.question[0].rdtype)
                if kind in records:
                    response.answer.append(dns.rrset.from_text(query.question[0].name, 77, "IN", kind, *records[kind]))
                server.sendto(response.to_wire(), peer)

        thread = threading.Thread(target=serve)
        thread.start()
        settings = {"nameserver": f"127.0.0.1:{server.getsockname()[1]}", "query": "one.test"}
        found = check("check_data", "dns", **settings)
        assert found == {"state": "good", "answers": "192.0.2.1, 192.0.2.2", "ttl": 77, "rtt": True}
        assert check("check_data", "dns", rtype="TXT", **settings)["answers"] == "v=spf1 -all"
        assert check("check_data", "dns", rtype="mx", **settings)["answers"] == "mx.test"
        assert check("check_data", "dns", rtype="AAAA", **settings)["message"] == "no records"
        thread.join()
