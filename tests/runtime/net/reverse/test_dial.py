"""The dialling side, against what the original did; and both sides together."""

import contextlib
import errno
import json
import os
import selectors
import socket
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from hearing import hear
from launching import free_port
from reverse_wire import close_all, exactly, frame, ids, kept, known_to_dispatch
from tracing import heard, wait_for
from waiting import until

from runtime import eventer, log, net, trace
from runtime.eventer import READ, WRITE
from runtime.net import NetError, reverse
from runtime.net._tls import Tls
from runtime.net.reverse import _dial
from runtime.net.reverse._dial import Dialler
from runtime.net.reverse.frames import CONNECT, SHUTDOWN, command, data

RECORDED = json.loads((Path(__file__).parents[3] / "data" / "reverse" / "dialling-side.json").read_text())


@pytest.fixture(autouse=True)
def all_closed(loops: eventer.Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known_to_dispatch(monkeypatch)
    yield
    reverse.stop_all()
    until(lambda: not ids())
    net.stop_accepting()
    close_all()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def sslconfig(authority: Authority, name: str = "nodex") -> dict[str, str]:
    issued = authority.issue(name)
    return {
        "certificate_file": str(issued.certificate),
        "key_file": str(issued.key),
        "ca_chain": str(authority.issued.certificate),
    }


class Dialled:
    """The side that is dialled, by hand."""

    def __init__(self, authority: Authority, name: str = "server.test") -> None:
        issued = authority.issue(name)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(issued.certificate, issued.key)
        self.context.load_verify_locations(authority.issued.certificate)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.sock = kept(socket.create_server(("127.0.0.1", 0)))
        self.port = int(self.sock.getsockname()[1])

    def accept(self) -> Any:
        sock, _ = self.sock.accept()
        return kept(self.context.wrap_socket(sock, server_side=True))


def introduced(sock: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\r\n\r\n"):
        piece = sock.recv(1)
        assert piece, found
        found += piece
    return found


class Service:
    """A local service that answers each line by itself, upper case, and ends behind ``bye``."""

    def __init__(self) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.sock.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self.sock, contextlib.suppress(OSError):
            while True:
                sock, _ = self.sock.accept()
                threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    @staticmethod
    def _talk(sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                sock.sendall(line.upper())
                if line == b"bye\n":
                    return


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"endpoint": "ep1"}, RECORDED["session"][1][1]),
        ({"endpoint": "ep1", "xbind": "127.0.0.1 0"}, RECORDED["intro with xbind"][1][1]),
        ({}, RECORDED["no endpoint: the name in the certificate"]["wire"][1][1]),
        ({"endpoint": "ep2", "cn": "server.test"}, RECORDED["cn expected server.test"]["wire"][1][1]),
    ],
)
def test_the_first_bytes_are_the_recorded_ones(authority: Authority, config: dict[str, str], wanted: str) -> None:
    dialled = Dialled(authority)
    assert reverse.start("127.0.0.1", dialled.port, sslconfig(authority), config)
    sock = dialled.accept()
    assert introduced(sock) == bytes.fromhex(wanted)
    assert (("commonName", "nodex"),) in sock.getpeercert()["subject"]


def test_another_name_than_expected_is_left(authority: Authority) -> None:
    dialled = Dialled(authority)
    config = {"cn": "other.test", "reconnect_initial_interval": "100"}
    reverse.start("127.0.0.1", dialled.port, sslconfig(authority), config)
    for _ in range(2):  # and it tries again
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert dialled.accept().recv(1) == b""
    assert ids() == []


def test_who_cannot_be_verified_is_left(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    dialled = Dialled(authority)
    trusting = sslconfig(authority) | {"ca_chain": str(Authority(tmp_path / "other", "Other").issued.certificate)}
    for config in (trusting, {key: value for key, value in trusting.items() if key != "ca_chain"}):
        reverse.start("127.0.0.1", dialled.port, config, {"endpoint": "x"})
        with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
            dialled.accept()
        assert reverse.stop("127.0.0.1", dialled.port)


def test_channels_reach_the_local_service_as_recorded(authority: Authority) -> None:
    dialled, service = Dialled(authority), Service()
    reverse.start("127.0.0.1", dialled.port, sslconfig(authority), {"endpoint": "e", "local_port": str(service.port)})
    sock = dialled.accept()
    introduced(sock)
    sock.sendall(command(1, CONNECT))
    sock.sendall(data(1, b"hello\n"))
    assert frame(sock) == (1, b"HELLO\n", False)
    sock.sendall(data(1, b"bye\n"))
    assert frame(sock) == (1, b"BYE\n", False)
    assert frame(sock) == (1, SHUTDOWN, True)
    sock.sendall(data(1, b"late"))
    assert frame(sock) == (1, b"RESET", True)
    sock.sendall(command(2, CONNECT) + data(2, b"in one write\nbye\n"))
    said = b""
    while True:
        number, content, is_command = frame(sock)
        assert number == 2
        if is_command:
            assert content == SHUTDOWN
            break
        said += content
    assert said == b"IN ONE WRITE\nBYE\n"
    quiet = RECORDED["session"]  # the rest is frames alone
    for direction, octets, note, *_ in quiet[quiet.index([">", "800300000007434f4e4e454354", "connect 3"]) :]:
        if note.startswith("data after shutdown"):
            octets = data(6, b"x").hex()
        if direction == ">":
            sock.sendall(bytes.fromhex(octets))
        else:
            assert exactly(sock, len(octets) // 2).hex() == octets, note


def test_no_service_is_a_reset(authority: Authority) -> None:
    port = free_port()
    dialled = Dialled(authority)
    reverse.start("127.0.0.1", dialled.port, sslconfig(authority), {"endpoint": "e", "local_port": str(port)})
    sock = dialled.accept()
    introduced(sock)
    sock.sendall(command(1, CONNECT))
    assert frame(sock) == (1, b"RESET", True)


def test_details_and_stop(authority: Authority) -> None:
    dialled = Dialled(authority)
    assert reverse.details("127.0.0.1", dialled.port) is None
    config = {"endpoint": "e", "local_port": str(Service().port)}
    assert reverse.start("127.0.0.1", dialled.port, sslconfig(authority), config)
    assert not reverse.start("127.0.0.1", dialled.port, sslconfig(authority), config)
    sock = dialled.accept()
    introduced(sock)
    sock.sendall(command(1, CONNECT) + data(1, b"hello\n"))
    assert frame(sock)[1] == b"HELLO\n"
    found = reverse.details("127.0.0.1", dialled.port)
    assert found == {
        "remote_address": "127.0.0.1",
        "remote_port": dialled.port,
        "connected": True,
        "nchannels": 1,
        "in_bytes": len(CONNECT) + 6,
        "out_bytes": 6,
    }
    assert len(ids()) == 1 and ids()[0].startswith("client/")
    assert reverse.stop("127.0.0.1", dialled.port) and not reverse.stop("127.0.0.1", dialled.port)
    assert sock.recv(1) == b""
    until(lambda: not ids())


def test_it_dials_again_at_the_recorded_pace(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    add_in = eventer.add_in

    def hastily(callback: Any, closure: object, delay: float) -> Any:
        if getattr(callback, "__func__", None) is Dialler._retry:
            pauses.append(delay)
            delay = 0.0
        return add_in(callback, closure, delay)

    monkeypatch.setattr(eventer, "add_in", hastily)
    dialled = Dialled(authority)
    config = {"endpoint": "e", "reconnect_initial_interval": "200", "reconnect_maximum_interval": "1000"}
    reverse.start("127.0.0.1", dialled.port, sslconfig(authority), config)
    for turn in range(9):
        if turn % 2:  # also behind a good handshake
            sock = dialled.accept()
            introduced(sock)
            sock.close()
        else:
            dialled.sock.accept()[0].close()
    until(lambda: len(pauses) >= 8)
    assert pauses[:8] == RECORDED["initial 200, maximum 1000: we close before TLS"]


@pytest.mark.parametrize(
    ("host", "config", "wanted"),
    [
        ("nowhere.test", {"endpoint": "e"}, "Cannot translate 'nowhere.test' to IP"),
        ("127.0.0.1", {"endpoint": "e", "local_address": "x"}, "Cannot translate 'x' to IP"),
        ("127.0.0.1", {"endpoint": "e", "local_port": "y"}, "local_port: 'y'"),
        ("127.0.0.1", {"endpont": "e"}, "no 'endpont'"),
    ],
)
def test_what_cannot_be_used_is_named(authority: Authority, host: str, config: dict[str, str], wanted: str) -> None:
    with pytest.raises((NetError, ValueError), match=wanted):
        reverse.start(host, 1, sslconfig(authority), config)
    with pytest.raises(NetError, match="certificate_file"):
        reverse.start("127.0.0.1", 1, {"certificate_file": "/nowhere"}, {})
    with pytest.raises(NetError, match="expected a port of 0 to 65535, not 70000"):
        reverse.start("127.0.0.1", 70000, sslconfig(authority), {"endpoint": "e"})


def test_an_own_certificate_may_be_given_as_text(authority: Authority) -> None:
    files = sslconfig(authority, "given")
    texts = {key: Path(path).read_text() for key, path in files.items()}
    listener = net.open_listener("control_dispatch", "127.0.0.1", 0, tls=Tls(sslconfig(authority, "server.test")))
    listener.start()
    reverse.start("127.0.0.1", listener.port, texts, {})
    until(lambda: reverse.find("mtev/given"))


def test_the_dates_of_the_listener_may_be_of_no_importance(authority: Authority) -> None:
    late = authority.issue("server.test", days=-1)
    config = {**sslconfig(authority), "certificate_file": str(late.certificate), "key_file": str(late.key)}
    listener = net.open_listener("control_dispatch", "127.0.0.1", 0, tls=Tls(config))
    listener.start()
    reverse.start("127.0.0.1", listener.port, {**sslconfig(authority), "ignore_dates": "true"}, {})
    until(lambda: reverse.find("mtev/nodex"))


@pytest.fixture
def joined(authority: Authority) -> tuple[Service, str]:
    """Both sides of ours in one process; the id of the reverse connection."""
    service = Service()
    listener = net.open_listener("control_dispatch", "127.0.0.1", 0, tls=Tls(sslconfig(authority, "server.test")))
    listener.start()
    config = {"local_port": str(service.port), "cn": "server.test", "xbind": "127.0.0.1 0"}
    reverse.start("127.0.0.1", listener.port, sslconfig(authority), config)
    until(lambda: reverse.find("mtev/nodex"))
    return service, "mtev/nodex"


def test_streams_through_both_sides(joined: tuple[Service, str]) -> None:
    through = [kept(reverse.connect(joined[1])) for _ in range(40)]
    for number, each in enumerate(through):
        each.sendall(b"line %d\n" % number)
    for number, each in enumerate(through):
        wanted = b"LINE %d\n" % number
        assert exactly(each, len(wanted)) == wanted
    proxy = reverse.find(joined[1]).proxies["ipv4"]  # type: ignore[union-attr]
    client = kept(socket.create_connection(("127.0.0.1", proxy.port), 20))
    client.sendall(b"by the proxy\nbye\n")
    assert exactly(client, 17) == b"BY THE PROXY\nBYE\n" and client.recv(1) == b""


def test_the_sockets_of_channels_are_told_of(joined: tuple[Service, str]) -> None:
    with heard("eventer-read-return", "eventer-write-return", "eventer-close-return") as told:
        through = kept(reverse.connect(joined[1]))
        through.sendall(b"line\n")
        assert exactly(through, 5) == b"LINE\n"
        through.close()
        for content in (b"line\n", b"LINE\n"):  # from one side's socket into the other's
            read = wait_for(told, lambda each, what=content: each[0] == "eventer-read-return" and each[2] == what)
            written = wait_for(told, lambda each, what=content: each[0] == "eventer-write-return" and each[2] == what)
            assert read[1] != written[1] and read[-1] == written[-1] == len(content)
            wait_for(
                told, lambda each, fd=read[1]: each[0] == "eventer-close-return" and each[1] == fd and each[-1] == 0
            )


class Source:
    """A local service that sends so many bytes to everybody, and ends."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self.sock.getsockname()[1])
        self._ending, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending.close()
        self._thread.join(10)

    def _serve(self) -> None:
        piece = b"0123456789abcdef" * 4096
        left: dict[socket.socket, int] = {}
        with self.sock, self._end, selectors.DefaultSelector() as selector:
            selector.register(self.sock, selectors.EVENT_READ)
            selector.register(self._end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    if sock is self._end:
                        return
                    if sock is self.sock:
                        client, _ = sock.accept()
                        client.setblocking(False)
                        selector.register(client, selectors.EVENT_WRITE)
                        left[client] = self.size
                        continue
                    try:
                        left[sock] -= sock.send(piece[: left[sock]])
                    except OSError:
                        left[sock] = 0
                    if not left[sock]:
                        selector.unregister(sock)
                        sock.close()


def carried(authority: Authority, channels: int, size: int) -> None:
    """Have *size* bytes come through every one of *channels*, all at the same time."""
    source = Source(size)
    listener = net.open_listener("control_dispatch", "127.0.0.1", 0, tls=Tls(sslconfig(authority, "server.test")))
    listener.start()
    reverse.start("127.0.0.1", listener.port, sslconfig(authority), {"local_port": str(source.port)})
    tunnel = until(lambda: reverse.find("mtev/nodex"))
    found = {kept(reverse.connect(tunnel.id)): 0 for _ in range(channels)}
    with selectors.DefaultSelector() as selector:
        for sock in found:
            selector.register(sock, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(60) or pytest.fail("nothing comes any more"):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                content = sock.recv(1 << 17)
                found[sock] += len(content)
                if not content:
                    selector.unregister(sock)
                    sock.close()
    assert set(found.values()) == {size} and tunnel.slow == 0
    until(lambda: not tunnel.channels)
    reverse.stop("127.0.0.1", listener.port)
    listener.close()
    until(lambda: not ids())
    source.stop()


def test_many_channels_carry_much(authority: Authority) -> None:
    carried(authority, 100, 300_000)


def test_channels_that_open_while_the_carrier_is_behind_wait_too(authority: Authority) -> None:
    source = Source(64 << 20)
    dialled = Dialled(authority)
    reverse.start("127.0.0.1", dialled.port, sslconfig(authority), {"endpoint": "e", "local_port": str(source.port)})
    sock = dialled.accept()
    introduced(sock)
    tunnel = until(lambda: reverse.tunnels() and reverse.tunnels()[0])

    def all_wait(channels: int) -> bool:
        events = [eventer.find_fd(each.fd) for each in list(tunnel.channels.values())]
        return sum(each is not None and not each.mask & (READ | WRITE) for each in events) == channels

    for opened in (4, 8):  # four that fill the carrier, which nobody reads, and four behind them
        for number in range(opened - 3, opened + 1):
            sock.sendall(command(number, CONNECT))
        until(partial(all_wait, opened))
    reverse.stop("127.0.0.1", dialled.port)
    until(lambda: not reverse.tunnels())
    source.stop()


@pytest.mark.soak
def test_511_channels_carry_a_gigabyte_in_flat_memory(authority: Authority) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    carried(authority, 511, 100_000)
    before = resident()
    carried(authority, 511, 2_000_000)
    assert resident() - before < 64_000_000


def test_a_facility_says_why_a_dialler_fails(authority: Authority) -> None:
    lines: list[str] = []
    heard = log.facility("error/reverse")
    dialled = Dialled(authority)
    port = dialled.port
    dialled.sock.close()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(heard), "log", lambda _self, text, *rest: lines.append(text))
        reverse.start("127.0.0.1", port, sslconfig(authority), {"endpoint": "e"})
        until(lambda: lines)
    assert f"127.0.0.1 port {port}" in lines[0] and "refused" in lines[0]


def test_it_dials_again_where_no_descriptor_was_left(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    told = hear("error")
    made: list[int] = []

    class Exhausted:
        def __getattr__(self, name: str) -> Any:
            return getattr(socket, name)

        def socket(self, *asked: int) -> socket.socket:
            made.append(1)
            if len(made) < 3:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return socket.socket(*asked)

    monkeypatch.setattr(_dial, "socket", Exhausted())
    dialled = Dialled(authority)
    config = {"endpoint": "e", "reconnect_initial_interval": "100"}
    reverse.start("127.0.0.1", dialled.port, sslconfig(authority), config)
    assert introduced(dialled.accept()).startswith(b"REVERSE /mtev/e\r\n")
    assert sum("cannot connect: Too many open files" in each for each in told()) == 2


def test_trace_points_tell_of_each_step(authority: Authority) -> None:
    dialled = Dialled(authority)
    where = f"127.0.0.1:{dialled.port}"
    config = {"endpoint": "e", "reconnect_initial_interval": "100"}
    with heard(*(name for name in trace.POINTS if name.startswith("reverse-"))) as told:
        reverse.start("127.0.0.1", dialled.port, sslconfig(authority), config)
        dialled.sock.accept()[0].close()  # no TLS
        sock = dialled.accept()
        introduced(sock)
        sock.close()
        wait_for(told, lambda each: each[0] == "reverse-connect-close")
        reverse.stop("127.0.0.1", dialled.port)
    assert {each[2] for each in told} == {where}
    assert len({each[3] for each in told}) == 1 and told[0][3].startswith("client/")
    steps = [(each[0], *each[4:]) for each in told]
    assert steps[:11] == [
        ("reverse-connect",),
        ("reverse-connect-success",),
        ("reverse-connect-ssl",),
        ("reverse-connect-failed", errno.EPROTO),
        ("reverse-reschedule", 100),
        ("reverse-connect",),
        ("reverse-connect-success",),
        ("reverse-connect-ssl",),
        ("reverse-connect-ssl-success", "server.test", True),
        ("reverse-connect-close", False, 0),
        ("reverse-reschedule", 200),
    ]
    assert ("reverse-shutdown-permanent",) in steps
    fds = {name: fd for name, fd, *_ in told}
    assert fds["reverse-connect"] > 0 and fds["reverse-reschedule"] == -1
