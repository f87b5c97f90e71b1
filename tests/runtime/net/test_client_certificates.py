"""Client certificates: who is let in under which name, strictly and with ``optional_no_ca``."""

import os
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, Issued
from lxml import etree
from OpenSSL import SSL

from runtime import conf, eventer, net
from runtime.eventer import EXCEPTION, READ, WRITE, Event, Pool
from runtime.net import Connection

GREETING = b"you are "


@pytest.fixture(autouse=True)
def greeter(loops: Pool) -> Iterator[None]:
    """The type ``greeter`` tells a client its name, then sends back what it gets."""

    def greet(event: Event, _mask: int, connection: Connection, _now: float) -> int:
        if connection.closure is None:
            connection.closure = GREETING + (connection.cn or "nobody").encode() + b"\n"
        while True:
            waiting = connection.closure
            assert isinstance(waiting, bytes)
            try:
                connection.closure = waiting[connection.send(waiting) :] if waiting else b""
                data = None if connection.closure else connection.recv(1 << 16)
            except OSError:
                data = b""
            if data is None:
                return (READ | WRITE if connection.closure else READ) | EXCEPTION
            if not data:
                connection.close()
                return 0
            connection.closure += data

    eventer.name_callback("greeter", greet)
    yield
    eventer.stop()
    net.stop_accepting()


@pytest.fixture
def house(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "house")


def listening(house: Authority, **keys: object) -> int:
    issued = house.issue("localhost")
    keys = {
        "certificate_file": issued.certificate,
        "key_file": issued.key,
        "ca_chain": house.issued.certificate,
        **keys,
    }
    elements = "".join(f"<{key}>{value}</{key}>" for key, value in keys.items())
    text = f"""<app><listeners><sslconfig>{elements}</sslconfig>
        <listener type="greeter" address="127.0.0.1" port="0" ssl="on"/></listeners></app>"""
    (listener,) = net.listen(conf.loads(text.encode()))
    listener.start()
    return listener.port


def client(port: int, shown: Issued | None, **options: Any) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    if "alpn" in options:
        context.set_alpn_protocols(options["alpn"])
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    return context.wrap_socket(plain, session=options.get("session"))


def name(port: int, shown: Issued | None) -> str:
    """What the listener calls a client; ``refused`` when it does not want it."""
    try:
        with client(port, shown) as sock, sock.makefile("rb") as lines:
            return lines.readline().decode().strip().removeprefix(GREETING.decode()) or "refused"
    except OSError:
        return "refused"


@pytest.mark.parametrize(("lenient", "stranger_is"), [("false", "refused"), ("true", "nobody")])
def test_a_client_has_the_name_that_a_known_authority_gave_it(
    house: Authority, tmp_path: Path, lenient: str, stranger_is: str
) -> None:
    revoked = house.issue("revoked", serial=7)
    port = listening(house, optional_no_ca=lenient, crl=house.revoke(revoked))
    elsewhere = Authority(tmp_path, "elsewhere")
    assert name(port, None) == "nobody"
    assert name(port, house.issue("guest")) == "guest"
    assert name(port, elsewhere.issue("guest")) == stranger_is
    assert name(port, elsewhere.issue("guest", days=-1)) == stranger_is
    assert name(port, elsewhere.issued) == stranger_is  # signed by itself
    assert name(port, house.issue("late", days=-1)) == "refused"
    assert name(port, revoked) == "refused"


def test_an_impostor_of_the_authority_vouches_for_nobody(house: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    impostor = Authority(tmp_path / "other", house.name)  # the same subject with another key
    assert name(listening(house, optional_no_ca="true"), impostor.issue("guest")) != "guest"


def test_a_lenient_listener_carries_large_data_and_agrees_on_protocols(house: Authority) -> None:
    port = listening(house, optional_no_ca="true")
    content = os.urandom(3_000_000)
    with client(port, None, alpn=["h2", "http/1.1"]) as sock:
        assert sock.selected_alpn_protocol() == "h2"
        expected = GREETING + b"nobody\n"
        assert sock.recv(len(expected)) == expected
        for at in range(0, len(content), 50_000):
            piece = content[at : at + 50_000]
            sock.sendall(piece)
            back = b""
            while len(back) < len(piece):
                back += sock.recv(1 << 16)
            assert back == piece
    with client(listening(house, optional_no_ca="true", npn="none"), None, alpn=["h2", "http/1.1"]) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
    with pytest.raises(ssl.SSLError):
        client(port, None, alpn=["other"])


def test_a_stranger_that_comes_back_with_its_session_is_still_nobody(house: Authority, tmp_path: Path) -> None:
    port = listening(house, optional_no_ca="true")
    stranger = Authority(tmp_path, "elsewhere").issue("guest")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(stranger.certificate, stranger.key)
    session = None
    for _ in range(3):
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        with context.wrap_socket(plain, session=session) as sock:
            assert sock.recv(100) == GREETING + b"nobody\n"
            assert not sock.session_reused
            session = sock.session


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(100), b""])
def test_nonsense_instead_of_a_handshake_does_no_harm(house: Authority, sent: bytes) -> None:
    port = listening(house, optional_no_ca="true")
    # It may be refused, and the connection gone, at any of these.
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, suppress(OSError):
        plain.sendall(sent)
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(1000):
            pass
    assert name(port, None) == "nobody"


def test_what_is_no_truth_value_is_refused(house: Authority) -> None:
    with pytest.raises(conf.ConfError, match="optional_no_ca"):
        listening(house, optional_no_ca="perhaps")


@pytest.mark.parametrize("lenient", ["false", "true"])
def test_a_listener_that_names_no_authority_trusts_the_default_one(
    house: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lenient: str
) -> None:
    elsewhere = Authority(tmp_path, "elsewhere")
    monkeypatch.setattr(eventer.settings(), "default_ca_chain", str(house.issued.certificate))
    port = listening(house, ca_chain="", optional_no_ca=lenient)
    assert name(port, house.issue("guest")) == "guest"
    assert name(port, elsewhere.issue("guest")) != "guest"
    own = listening(house, ca_chain=elsewhere.issued.certificate, optional_no_ca=lenient)
    assert name(own, elsewhere.issue("guest")) == "guest"
    assert name(own, house.issue("guest")) != "guest"


@pytest.mark.parametrize("lenient", ["false", "true"])
@pytest.mark.parametrize(
    "keys", [("certificate_file", "key_file", "ca_chain", "crl"), ("certificate", "key", "ca_file", "crl")]
)
def test_pem_may_be_given_as_text(house: Authority, tmp_path: Path, lenient: str, keys: tuple[str, ...]) -> None:
    server, revoked = house.issue("localhost"), house.issue("revoked", serial=7)
    files = (server.certificate, server.key, house.issued.certificate, house.revoke(revoked))
    given = dict.fromkeys(("certificate_file", "key_file", "ca_chain"), "")
    given |= {
        key: "\n      ".join(["", *path.read_text().splitlines(), ""]) for key, path in zip(keys, files, strict=True)
    }
    port = listening(house, optional_no_ca=lenient, **given)
    assert name(port, house.issue("guest")) == "guest"
    assert name(port, revoked) == "refused"
    stranger = Authority(tmp_path, "elsewhere").issue("guest")
    assert name(port, stranger) == ("refused" if lenient == "false" else "nobody")


def test_a_key_given_as_text_is_not_shown(house: Authority) -> None:
    issued = house.issue("localhost")
    both = issued.certificate.read_text() + issued.key.read_text()
    sslconfig = f"<sslconfig><certificate>{both}</certificate><key>{issued.key.read_text()}</key></sslconfig>"
    shown = etree.tostring(conf.masked(conf.loads(f"<app><listeners>{sslconfig}</listeners></app>".encode())))
    assert b"PRIVATE" not in shown
    assert shown.count(b"(not shown)") == 2


@pytest.mark.parametrize("lenient", ["false", "true"])
def test_dates_may_be_of_no_importance(house: Authority, tmp_path: Path, lenient: str) -> None:
    late = house.issue("late", days=-1)
    assert name(listening(house, optional_no_ca=lenient, ignore_dates="false"), late) == "refused"
    port = listening(house, optional_no_ca=lenient, ignore_dates="true", crl=house.revoke(house.issue("r", serial=7)))
    assert name(port, late) == "late"
    assert name(port, house.issue("guest")) == "guest"
    assert name(port, house.issue("revoked", serial=7, days=-1)) == "refused"
    assert name(port, Authority(tmp_path, "elsewhere").issue("guest", days=-1)) != "guest"


def told(port: int) -> list[str | None]:
    """The common names of the authorities that a listener tells its clients of."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        plain.settimeout(None)  # pyOpenSSL wants to wait itself
        connection = SSL.Connection(context, plain)
        connection.set_connect_state()
        connection.do_handshake()
        return [each.CN for each in connection.get_client_ca_list()]


@pytest.mark.parametrize("lenient", ["false", "true"])
def test_clients_are_told_of_the_authorities_of_ca_accept(house: Authority, tmp_path: Path, lenient: str) -> None:
    elsewhere = Authority(tmp_path, "elsewhere")
    both = house.issued.certificate.read_text() + elsewhere.issued.certificate.read_text()
    port = listening(house, optional_no_ca=lenient, ca_accept=both)
    assert sorted(map(str, told(port))) == ["elsewhere", "house"]
    assert name(port, house.issue("guest")) == "guest"
    assert name(port, elsewhere.issue("guest")) == ("refused" if lenient == "false" else "nobody"), "it is not trusted"
    assert name(port, None) == "nobody"
    assert told(listening(house, optional_no_ca=lenient, ca_accept=elsewhere.issued.certificate)) == ["elsewhere"]
    assert told(listening(house, optional_no_ca=lenient, ca_accept="")) == []


def test_a_lenient_listener_tells_of_its_own_authorities(house: Authority) -> None:
    assert told(listening(house, optional_no_ca="true")) == ["house"]


def test_a_lenient_listener_obeys_both_bounds_of_its_layer(house: Authority) -> None:
    with client(listening(house, optional_no_ca="true", layer="tlsv1:all,=tlsv1.2"), None) as sock:
        assert sock.version() == "TLSv1.2"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ca_accept": "/nowhere"}, "ca_accept /nowhere: No such file"),
        ({"ca_accept": "no\nPEM"}, "ca_accept (given as text): expected certificates in PEM form"),
        ({"ca_chain": "no\nPEM"}, "ca_chain (given as text): expected certificates in PEM form"),
        ({"ignore_dates": "perhaps"}, "ignore_dates: expected true"),
        ({"key_file": "", "key": "no\nPEM"}, "key (given as text): expected a private key in PEM form"),
        (
            {"certificate_file": "", "certificate": "no\nPEM"},
            "certificate (given as text): expected a certificate",
        ),
        ({"certificate_file": "", "certificate": "/nowhere"}, "certificate /nowhere: No such file"),
        (
            {"key": "-----BEGIN PRIVATE KEY----- x", "key_file": ""},
            "key (given as text): expected a private key in PEM",
        ),
    ],
)
def test_what_cannot_be_used_is_named(house: Authority, keys: dict[str, str], message: str) -> None:
    with pytest.raises(conf.ConfError) as refused:
        listening(house, **keys)
    assert message in str(refused.value)


@pytest.mark.parametrize("key", ["key_file", "ca_chain", "ca_accept"])
def test_a_text_that_finds_no_temporary_folder_is_named(
    house: Authority, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(conf.ConfError, match=rf"sslconfig {key} \(given as text\): No such file or directory"):
        listening(house, **{key: "a\ntext"})
