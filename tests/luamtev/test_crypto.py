"""Keys and signing requests: what OpenSSL accepts, made while the loop goes on."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from measuring import RESIDENT

from luamtev.api import crypto, shared
from luamtev.bridge import LuaError


def openssl(*arguments: str, text: bytes) -> str:
    done = subprocess.run(["openssl", *arguments], input=text, capture_output=True, timeout=60, check=True)
    return (done.stdout + done.stderr).decode()


def pem_of(key: Any, encryption: Any = None) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return pem


@pytest.fixture(scope="module")
def key() -> bytes:
    pem, message = crypto.generate(2048.0)
    assert pem is not None, message
    return pem


def test_openssl_takes_a_key_and_a_request_made_in_lua(luamtev: Callable[..., Any]) -> None:
    done = luamtev(
        "main.lua",
        source="""
        function main()
          local key = mtev.newrsa(2048)
          print(key:pem())
          print(key:gencsr({
            subject = { C = "US", ST = "Maryland", O = "Example, Inc.", OU = "a/b", CN = "a.example" },
            digest = "sha384",
            addext = {
              subjectAltName = { "DNS:a.example", "IP:10.0.0.1" },
              basicConstraints = { "critical", "CA:FALSE" },
            },
          }):pem())
          os.exit(0)
        end
        """,
    )
    assert done.stderr == b""
    assert "Key is valid" in openssl("pkey", "-check", "-noout", text=done.stdout)
    report = openssl("req", "-verify", "-noout", "-text", text=done.stdout)
    assert "verify OK" in report
    assert 'C = US, ST = Maryland, O = "Example, Inc.", OU = a/b, CN = a.example' in report
    assert "sha384WithRSAEncryption" in report
    assert "DNS:a.example, IP Address:10.0.0.1" in report
    assert "X509v3 Basic Constraints: critical" in report


def test_lua_takes_a_key_and_a_request_made_by_openssl(lua: Any, tmp_path: Path) -> None:
    key, request = tmp_path / "key.pem", tmp_path / "request.pem"
    openssl("genrsa", "-traditional", "-out", str(key), "2048", text=b"")
    assert b"BEGIN RSA PRIVATE KEY" in key.read_bytes()
    openssl(
        "req", "-new", "-key", str(key), "-utf8", "-subj", "/C=DE/O=Ü AG/CN=x/UID=7", "-out", str(request), text=b""
    )
    text = lua(
        f"""
        local function read(name) local f = io.open(name) local text = f:read("*a") f:close() return text end
        function main()
          local pem, request = read("{key}"), read("{request}")
          print(mtev.newreq(request).subject, mtev.newreq(request):pem() == request)
          print(mtev.newrsa(pem):pem():match("^[^\\n]+"))
          os.exit(0)
        end
        """
    )
    assert text == "/C=DE/O=\\xC3\\x9C AG/CN=x/UID=7\ttrue\n-----BEGIN PRIVATE KEY-----\n"
    shown = openssl("req", "-noout", "-subject", "-nameopt", "compat", text=request.read_bytes())
    assert shown == "subject=/C=DE/O=\\xC3\\x9C AG/CN=x/UID=7\n"


def test_a_key_is_made_while_other_coroutines_run(lua: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    others_ran = threading.Event()
    generate = crypto.generate

    def generate_last(bits: float) -> crypto.Answer:
        assert others_ran.wait(30)
        return generate(bits)

    monkeypatch.setattr(crypto, "generate", generate_last)
    monkeypatch.setattr(shared, "shared_set", lambda *_: others_ran.set())
    text = lua(
        """
        function main()
          mtev.coroutine_spawn(function() mtev.sleep(0) print("others") mtev.shared_set("ran", true) end)
          print(type(mtev.newrsa(1024)))
          os.exit(0)
        end
        """
    )
    assert text == "others\ntable\n"


def test_a_state_may_close_while_a_key_is_made(lua: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, closed, ended = threading.Event(), threading.Event(), threading.Event()

    def generate(_bits: float) -> crypto.Answer:
        begun.set()
        assert closed.wait(30)
        ended.set()
        return b"PEM", ""

    monkeypatch.setattr(crypto, "generate", generate)
    lua.start("function main() mtev.newrsa(1024) print('never') end")
    assert begun.wait(30)
    lua.close()
    closed.set()
    assert ended.wait(30)
    assert lua("function main() mtev.sleep(0) os.exit(0) end") == ""


def test_what_goes_wrong_in_the_thread_is_the_answer(lua: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def generate(_bits: float) -> crypto.Answer:
        raise MemoryError("no room")

    monkeypatch.setattr(crypto, "generate", generate)
    assert lua("function main() print(mtev.newrsa(1024)) os.exit(0) end") == "nil\tnewrsa: no room\n"


def test_nothing_of_cryptography_is_imported_before_it_is_used(luamtev: Callable[..., Any], tmp_path: Path) -> None:
    done = luamtev(
        "main.lua",
        source="function main() mtev.rand_bytes(8) mtev.bignum_new() os.exit(0) end",
        PYTHONPROFILEIMPORTTIME="1",
    )
    assert done.returncode == 0
    assert b"luamtev.state" in done.stderr
    assert b"cryptography" not in done.stderr


def test_keys_of_other_kinds_sign_too() -> None:
    for other in (ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()):
        pem, message = crypto.load(pem_of(other))
        assert pem is not None, message
        request, subject = crypto.sign_request(pem, b"sha256", 1.0, b"CN", b"x")
        assert subject == b"/CN=x"
        assert "verify OK" in openssl("req", "-verify", "-noout", text=request or b"")
    with pytest.raises(LuaError, match="cannot sign"):
        crypto.sign_request(pem_of(x25519.X25519PrivateKey.generate()), b"sha256", 0.0)


def test_a_key_that_cannot_be_used_is_refused_with_a_reason(key: bytes) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    locked = pem_of(load_pem_private_key(key, None), BestAvailableEncryption(b"secret"))
    assert crypto.load(locked) == (None, "newrsa: the private key is encrypted")
    lines = key.splitlines(keepends=True)
    for broken in (b"", key[:200], b"".join(lines[:5] + lines[6:]), key.replace(b"PRIVATE", b"PUBLIC")):
        pem, message = crypto.load(broken)
        assert pem is None
        assert message.startswith("newrsa: not a private key in PEM form: ")
        assert "https://" not in message


def test_a_subject_is_written_in_one_order(key: bytes) -> None:
    names = [b"CN", b"2.5.4.10", b"ST", b"1.2.3", b"countryName", b"DC"]
    pairs = [part for name in names for part in (name, b"xy")]
    _, subject = crypto.sign_request(key, b"sha256", float(len(names)), *pairs)
    assert subject == b"/C=xy/ST=xy/O=xy/DC=xy/CN=xy/1.2.3=xy"


def test_values_of_an_extension_belong_together(key: bytes) -> None:
    pairs = [b"extendedKeyUsage", b"serverAuth, clientAuth", b"keyUsage", b"critical", b"keyUsage", b"keyAgreement"]
    request, _ = crypto.sign_request(key, b"sha256", 0.0, *pairs)
    report = openssl("req", "-noout", "-text", text=request or b"")
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in report
    assert "X509v3 Key Usage: critical" in report
    assert "Key Agreement" in report


def test_many_keys_and_requests_leave_no_memory(lua: Any, key: bytes, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(key)
    text = lua(
        RESIDENT
        + f"""
        function main()
          local file = io.open("{tmp_path}/key.pem")
          local pem = file:read("*a")
          file:close()
          local key = assert(mtev.newrsa(pem))
          local function use() return mtev.newreq(key:gencsr({{ subject = {{ CN = "x" }} }}):pem()).subject end
          for i = 1, 200 do use() end
          local before = resident()
          for i = 1, 1000 do assert(use() == "/CN=x") end
          for i = 1, 20 do assert(mtev.newrsa(pem):pem() == pem) end
          for i = 1, 100000 do mtev.rand_bytes(1000) end
          print(resident() - before < 4000000)
          os.exit(0)
        end
        """
    )
    assert text == "true\n"
