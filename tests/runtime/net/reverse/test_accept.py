"""The listening side, against what the original did."""

import contextlib
import errno
import json
import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, Issued
from hearing import hear, wait_for
from looping import on
from reverse_wire import close_all, exactly, frame, ids, kept, known_to_dispatch
from waiting import until

from runtime import eventer, net
from runtime.net import Listener, reverse
from runtime.net._listener import PAUSE
from runtime.net._tls import Tls
from runtime.net.reverse import _tunnel
from runtime.net.reverse.frames import CLOSE, CONNECT, RESET, SHUTDOWN, command, data

RECORDED = json.loads((Path(__file__).parents[3] / "data" / "reverse" / "listener-side.json").read_text())


@pytest.fixture(autouse=True)
def all_closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(autouse=True)
def command_known(monkeypatch: pytest.MonkeyPatch) -> None:
    known_to_dispatch(monkeypatch)


@pytest.fixture
def listener(loops: eventer.Pool) -> Iterator[Listener]:
    made = net.open_listener("control_dispatch", "127.0.0.1", 0, {"reverse_buffer": "100000"})
    made.start()
    yield made
    net.stop_accepting()


def dialled(listener: Listener, handshake: bytes = b"") -> socket.socket:
    sock = kept(socket.create_connection(("127.0.0.1", listener.port), 20))
    sock.sendall(handshake)
    return sock


def up(listener: Listener, tunnel_id: str = "client1") -> socket.socket:
    sock = dialled(listener, b"REVERSE /" + tunnel_id.encode() + b" HTTP/1.1\r\n\r\n")
    until(lambda: tunnel_id in ids())
    return sock


def test_the_recorded_session_byte_by_byte(listener: Listener) -> None:
    wire = RECORDED["client1 session"]["wire"]
    sock = dialled(listener)
    opened: list[socket.socket] = []
    for direction, octets, note, *_ in wire:
        if direction == ">":
            sock.sendall(bytes.fromhex(octets))
            if note == "handshake":
                until(lambda: ids() == ["client1"])
            if note == "data on the closed channel":
                opened[0].close()
            if "second" in bytes.fromhex(octets).decode("latin-1"):
                assert exactly(opened[0], len("more to come\nsecond\n")) == b"more to come\nsecond\n"
                opened[0].close()
                assert frame(sock) == (1, SHUTDOWN, True)  # the original was silent: see the next test
        elif direction == "<":
            wanted = bytes.fromhex(octets)
            if CONNECT in wanted:
                opened.append(kept(reverse.connect("client1")))
                opened[-1].settimeout(20)
                opened[-1].sendall(wanted.rpartition(CONNECT)[2][6:])
            assert exactly(sock, len(wanted)) == wanted, note
    sock.close()
    until(lambda: not ids())


@pytest.mark.parametrize(
    "case",
    [
        "id with #",
        "no HTTP word",
        "no slash",
        "empty id",
        "id with slashes and query",
        "extra header lines",
        "percent encoded id",
        "word REVERT",
        "mtev/ id without TLS",
    ],
)
def test_handshakes_as_recorded(listener: Listener, case: str) -> None:
    (_, octets, _), *rest = RECORDED[case]
    sock = dialled(listener, bytes.fromhex(octets))
    shown = next((each[1] for each in rest if each[0] == "ids shown"), [])
    if ["<closed", "", ""] in rest:
        assert sock.recv(1) == b""
    else:
        until(lambda: ids() == shown)
    assert ids() == shown
    sock.close()


@pytest.mark.parametrize("torn", [1, 7, 100])
def test_a_handshake_may_come_in_pieces_and_with_frames_behind_it(listener: Listener, torn: int) -> None:
    stream = b"REVERSE /pieces HTTP/1.1\r\nHost: x\r\n\r\n" + data(7, b"x") + data(8, b"y")
    sock = dialled(listener)
    for place in range(0, len(stream), torn):
        sock.sendall(stream[place : place + torn])
    assert frame(sock) == (7, RESET, True) and frame(sock) == (8, RESET, True)
    sock.close()


def test_a_handshake_that_is_too_long_ends_the_connection(listener: Listener) -> None:
    for body in (b"X: " + b"y" * 5000 + b"\r\n\r\n", b"y" * 5000):
        sock = dialled(listener, b"REVERSE /long HTTP/1.1\r\n" + body)
        with contextlib.suppress(ConnectionError):
            assert sock.recv(1) == b""
        sock.close()
    assert ids() == []


def test_a_half_done_handshake_is_closed_after_its_time(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reverse._accept, "TIMEOUT", 0.2)
    sock = dialled(listener, b"REVERSE /half")
    assert sock.recv(1) == b""
    sock.close()
    gone = dialled(listener, b"REVERSE /half")
    gone.shutdown(socket.SHUT_WR)
    assert gone.recv(1) == b""
    gone.close()


def test_an_id_in_use_is_refused_and_free_again_afterwards(listener: Listener) -> None:
    first = up(listener)
    second = dialled(listener, b"REVERSE /client1 HTTP/1.1\r\n\r\n")
    assert second.recv(1) == b""
    first.close()
    until(lambda: not ids())
    up(listener).close()


def test_limits_of_frames(listener: Listener) -> None:
    sock = up(listener, "limits")
    sock.sendall(data(3, b"x" * 65530))
    assert frame(sock) == (3, RESET, True)
    sock.sendall(data(511, b"x"))
    assert frame(sock) == (511, RESET, True)
    sock.sendall(bytes.fromhex("00000000fffb"))
    assert sock.recv(1) == b""
    sock.close()
    sock = up(listener, "limits2")
    sock.sendall(bytes.fromhex("02000000000178"))
    assert sock.recv(1) == b""
    sock.close()


def test_channels_end_each_in_its_way(listener: Listener) -> None:
    sock = up(listener)

    def channel() -> tuple[socket.socket, int]:
        local = kept(reverse.connect("client1"))
        number, word, is_command = frame(sock)
        assert (word, is_command) == (CONNECT, True)
        return local, number

    local, number = channel()
    sock.sendall(data(number, b"the rest") + command(number, CLOSE))  # what came before the end is delivered
    assert exactly(local, 8) == b"the rest" and local.recv(1) == b""
    local, number = channel()
    sock.sendall(data(number, b"the rest") + command(number, SHUTDOWN))
    assert frame(sock) == (number, SHUTDOWN, True)
    assert exactly(local, 8) == b"the rest" and local.recv(1) == b""
    local, number = channel()
    sock.sendall(command(number, RESET))
    assert local.recv(1) == b""
    local, number = channel()
    sock.sendall(command(number, b"BOGUS"))
    assert frame(sock) == (number, RESET, True) and local.recv(1) == b""
    local, number = channel()
    local.close()
    assert frame(sock) == (number, SHUTDOWN, True)
    local, number = channel()
    sock.close()  # the carrier dies
    assert local.recv(1) == b""
    until(lambda: not ids())
    with pytest.raises(ConnectionError, match="Reverse connection unavailable"):
        reverse.connect("client1")


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Enough of them for as many channels as there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"no more than {hard} descriptors are allowed here")
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("descriptors")
def test_there_are_511_channels_and_numbers_are_not_given_again_at_once(listener: Listener) -> None:
    sock = up(listener)
    locals_ = []
    for wanted in range(1, 512):
        locals_.append(kept(reverse.connect("client1")))
        assert frame(sock) == (wanted, CONNECT, True)
    one_more = kept(reverse.connect("client1"))
    assert one_more.recv(1) == b""
    locals_[6].close()
    assert frame(sock) == (7, SHUTDOWN, True)
    kept(reverse.connect("client1"))
    assert frame(sock) == (7, CONNECT, True)


def test_a_slow_reader_is_reset_and_counted_while_others_go_on(listener: Listener) -> None:
    sock = up(listener)
    (tunnel,) = reverse.tunnels()
    kept(reverse.connect("client1"))
    quick = kept(reverse.connect("client1"))
    slow_number, quick_number = frame(sock)[0], frame(sock)[0]
    sent = 0
    answers: list[bytes] = []
    while tunnel.slow == 0:
        sock.sendall(data(slow_number, b"x" * 60000) + data(quick_number, b"ping"))
        answers.append(exactly(quick, 4))
        sent += 60000
        channel = tunnel.channels.get(slow_number)
        assert channel is None or channel.size <= 100_000 + 2 * 65536
        assert sent < 100_000_000
    assert frame(sock) == (slow_number, RESET, True)
    sock.sendall(data(quick_number, b"last"))
    assert exactly(quick, 4) == b"last" and tunnel.slow == 1


def test_a_reader_that_is_alone_and_reads_is_waited_for(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tunnel, "TIMEOUT", 600.0)  # time is up when we say so
    sock = up(listener)
    (tunnel,) = reverse.tunnels()
    local = kept(reverse.connect("client1"))
    number = frame(sock)[0]
    channel = tunnel.channels[number]
    channel.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
    size = waited = 0

    def time_is_up() -> bool:
        """If the reader has taken some meanwhile."""
        held = tunnel._held
        slowly = channel in tunnel._full and channel.taken > held.get(channel, channel.taken)
        if slowly:
            tunnel._time_is_up(None, 0, held, 0.0)
        return slowly

    sock.settimeout(0.01)
    queue = data(number, b"z" * 60000) * 20
    while size < 1_200_000:
        with contextlib.suppress(TimeoutError):
            queue = queue[sock.send(queue) :] if queue else queue
        part = local.recv(20000)
        assert part, f"cut after {size} bytes"
        size += len(part)
        waited += on(tunnel.owner, time_is_up)
    assert waited and tunnel.slow == 0
    local.close()
    sock.close()


def test_a_peer_that_does_not_read_stops_the_local_side(listener: Listener) -> None:
    sock = up(listener)
    (tunnel,) = reverse.tunnels()
    local = kept(reverse.connect("client1"))
    assert frame(sock)[1] == CONNECT
    local.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 200_000_000:
            sent += local.send(b"y" * 100_000)
    assert tunnel._out_size < 3_000_000
    got = 0
    while got < sent:
        _, content, is_command = frame(sock)
        assert not is_command
        got += len(content)
    assert got == sent
    local.settimeout(20)
    local.sendall(b"end")
    assert frame(sock)[1] == b"end"
    local.close()
    sock.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls(loops: eventer.Pool, authority: Authority) -> Iterator[Listener]:
    server = authority.issue("server.test")
    config = {
        "certificate_file": str(server.certificate),
        "key_file": str(server.key),
        "ca_chain": str(authority.issued.certificate),
    }
    made = net.open_listener("control_dispatch", "127.0.0.1", 0, tls=Tls(config))
    made.start()
    yield made
    net.stop_accepting()


@pytest.mark.parametrize(
    ("client", "tunnel_id", "admitted"),
    [
        ("nodex", "mtev/nodex", True),
        ("nodex", "mtev/other", False),
        ("nodex", "mtev/nodex#2", False),
        (None, "mtev/nodex", False),
        (None, "free", True),
    ],
)
def test_ids_below_mtev_need_the_name_in_the_certificate(
    tls: Listener, authority: Authority, client: str | None, tunnel_id: str, admitted: bool
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.issued.certificate)
    if client is not None:
        issued: Issued = authority.issue(client)
        context.load_cert_chain(issued.certificate, issued.key)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", tls.port), 20)) as sock:
        sock.sendall(f"REVERSE /{tunnel_id} HTTP/1.1\r\n\r\n".encode())
        if admitted:
            until(lambda: ids() == [tunnel_id])
            local = kept(reverse.connect(tunnel_id))
            assert frame(sock) == (1, CONNECT, True)
            local.close()
        else:
            with contextlib.suppress(ssl.SSLEOFError, ConnectionError):
                assert sock.recv(1) == b""
            assert ids() == []


def test_access_control_is_asked(listener: Listener) -> None:
    assert dialled(listener, b"REVERSE /denied-by-acl\r\n\r\n").recv(1) == b""
    assert ids() == []


def test_an_acl_of_the_program_is_asked(listener: Listener) -> None:
    asked: list[str] = []

    def acl(tunnel_id: str, _connection: net.Connection) -> bool:
        asked.append(tunnel_id)
        return tunnel_id != "denied"

    reverse.register_acl("test", acl)
    try:
        assert dialled(listener, b"REVERSE /denied\r\n\r\n").recv(1) == b""
        up(listener, "allowed").close()
    finally:
        assert reverse.unregister_acl("test") and not reverse.unregister_acl("test")
    assert asked == ["denied", "allowed"]


@pytest.mark.parametrize(
    ("asked", "families"),
    [("127.0.0.1 0", ["ipv4"]), ("*", ["ipv4", "ipv6"]), ("here 12", []), ("127.0.0.1 70000", [])],
)
def test_proxies_are_bound_for_who_asks(listener: Listener, asked: str, families: list[str]) -> None:
    told = hear("error")
    sock = dialled(listener, f"REVERSE /bound\r\nX-Bind: {asked}\r\n\r\n".encode())
    (tunnel,) = until(reverse.tunnels)
    assert sorted(tunnel.proxies) == families
    if not families:
        wait_for(told, rf"^reverse connection bound: 'X-Bind: {asked}': expected an IP address and a port")
    for number, proxy in enumerate(tunnel.proxies.values(), 1):
        address = "127.0.0.1" if proxy.address == "0.0.0.0" else "::1" if proxy.address == "::" else proxy.address
        client = kept(socket.create_connection((address, proxy.port), 20))
        assert frame(sock) == (number, CONNECT, True)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert frame(sock) == (number, b"GET / HTTP/1.0\r\n\r\n", False)
        sock.sendall(data(number, b"HTTP/1.0 200 OK\r\n\r\nhi") + command(number, CLOSE))
        assert exactly(client, 21) == b"HTTP/1.0 200 OK\r\n\r\nhi" and client.recv(1) == b""
    ports = [proxy.port for proxy in tunnel.proxies.values()]
    sock.close()
    until(lambda: not ids())
    for port in ports:
        with pytest.raises(OSError, match=r"refused|cannot assign|unreachable"):
            socket.create_connection(("127.0.0.1", port), 5)


def test_a_proxy_goes_on_once_there_are_descriptors_again(listener: Listener) -> None:
    told = hear("error")
    sock = dialled(listener, b"REVERSE /short\r\nX-Bind: 127.0.0.1 0\r\n\r\n")
    (tunnel,) = until(reverse.tunnels)
    proxy = tunnel.proxies["ipv4"]
    real, refused = proxy.sock, []

    class Exhausted:
        fileno, close = real.fileno, real.close

        def accept(self) -> Any:
            refused.append(time.monotonic())
            if len(refused) < 3:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return real.accept()

    proxy.sock = Exhausted()
    kept(socket.create_connection(("127.0.0.1", proxy.port), 20))
    assert frame(sock) == (1, CONNECT, True)
    assert len(refused) == 3 and refused[2] - refused[0] >= 2 * PAUSE - 0.01
    assert [each for each in told() if "Too many open files" in each] == [
        f"reverse connection short: port {proxy.port}: Too many open files\n"
    ]
    sock.close()
    until(lambda: not ids())
