"""Listeners on real sockets: addresses, accepting, fanout, exhaustion, closing, and what the configuration says."""

import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from certificates import Authority
from hearing import hear, wait_for
from waiting import until

from runtime import conf, eventer, log, net
from runtime.eventer import READ, Event, Pool
from runtime.net import Connection, NetError
from runtime.net._tls import Tls


@pytest.fixture(autouse=True)
def no_listeners_left() -> Iterator[None]:
    yield
    eventer.stop()
    net.stop_accepting()


@pytest.fixture
def served() -> Iterator[Queue[Any]]:
    """The connections that the type ``echo`` got, each with the pool and the index of its thread."""
    seen: Queue[Any] = Queue()

    def echo(event: Event, _mask: int, connection: Connection, _now: float) -> int:
        if connection.closure is None:
            connection.closure = "greeted"
            seen.put((connection, eventer.current()))
        data = connection.recv(1000)
        if data is None:
            return READ
        if not data:
            connection.close()
            return 0
        connection.send(data)
        return READ

    eventer.name_callback("echo", echo)
    yield seen


def echoed(family: int, where: Any) -> bytes:
    with socket.socket(family) as client:
        client.settimeout(10)
        client.connect(where)
        client.sendall(b"hello")
        return client.recv(100)


@pytest.mark.parametrize("address", ["127.0.0.1", "*", "inet:*"])
def test_an_ipv4_listener_serves_on_the_port_that_the_system_chose(loops: Pool, served: Any, address: str) -> None:
    listener = net.open_listener("echo", address, 0, {"key": "value"})
    listener.start()
    assert listener.port > 0
    assert echoed(socket.AF_INET, ("127.0.0.1", listener.port)) == b"hello"
    connection = served.get(timeout=10)[0]
    assert connection.config == {"key": "value"}
    assert connection.remote[0] == "127.0.0.1"
    assert net.listeners() == [listener]


@pytest.mark.parametrize("address", ["::1", "[::1]", "inet6:*"])
def test_an_ipv6_listener_serves(loops: Pool, served: Any, address: str) -> None:
    try:
        listener = net.open_listener("echo", address)
    except NetError as none:
        pytest.skip(f"no IPv6 here: {none}")
    net.start()
    assert echoed(socket.AF_INET6, ("::1", listener.port)) == b"hello"


def test_any_ipv4_and_any_ipv6_may_share_a_port(loops: Pool, served: Any) -> None:
    first = net.open_listener("echo", "*")
    try:
        net.open_listener("echo", "inet6:*", first.port)
    except NetError as refused:
        if "in use" in str(refused):
            raise
        pytest.skip(f"no IPv6 here: {refused}")
    net.start()
    assert echoed(socket.AF_INET, ("127.0.0.1", first.port)) == b"hello"
    assert echoed(socket.AF_INET6, ("::1", first.port)) == b"hello"


def test_a_path_is_listened_on_and_gone_after_the_listener(loops: Pool, served: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    listener = net.open_listener("echo", path)
    listener.start(loops.threads[0])
    assert echoed(socket.AF_UNIX, path) == b"hello"
    listener.close()
    eventer.stop()
    assert not Path(path).exists()


def test_the_socket_of_a_dead_process_is_replaced(loops: Pool, served: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()
    net.open_listener("echo", path).start()
    assert echoed(socket.AF_UNIX, path) == b"hello"


def test_the_socket_of_a_live_process_is_refused_and_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path)
        live.listen()
        with pytest.raises(NetError, match="another process listens there"):
            net.open_listener("echo", path)
        assert stat.S_ISSOCK(Path(path).stat().st_mode)


def test_a_file_that_is_no_socket_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(NetError, match="is no socket"):
        net.open_listener("echo", str(path))
    assert path.read_text() == "precious"


@pytest.mark.parametrize("address", ["", "localhost", "1.2.3", "256.0.0.1", "inet6:", "inet:1.2.3.4", "/" + "x" * 200])
def test_what_is_no_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(NetError, match="expected"):
        net.open_listener("echo", address)


def test_a_port_in_use_is_refused_by_name() -> None:
    first = net.open_listener("echo", "127.0.0.1")
    with pytest.raises(NetError, match=rf"cannot listen on 127\.0\.0\.1:{first.port}: .*in use"):
        net.open_listener("echo", "127.0.0.1", first.port)


def test_a_type_nobody_named_is_an_error_at_start(loops: Pool) -> None:
    listener = net.open_listener("nobody", "127.0.0.1")
    with pytest.raises(NetError, match=f"listener on 127.0.0.1:{listener.port}: there is no type 'nobody'"):
        net.start()


def test_no_delay_is_on_unless_turned_off(loops: Pool, served: Any) -> None:
    for wanted in (True, False):
        listener = net.open_listener("echo", "127.0.0.1", no_delay=wanted)
        listener.start()
        with socket.create_connection(("127.0.0.1", listener.port)):
            connection = served.get(timeout=10)[0]
            assert bool(connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is wanted


def test_fanout_spreads_connections_over_the_threads_of_a_pool(served: Any) -> None:
    eventer.pool_create("default", 1)
    eventer.pool_create("others", 3)
    eventer.start()
    listener = net.open_listener("echo", "127.0.0.1", fanout=True, fanout_pool="others")
    listener.start()
    threads = set()
    for _ in range(6):
        assert echoed(socket.AF_INET, ("127.0.0.1", listener.port)) == b"hello"
        threads.add(served.get(timeout=10)[1].name)
    assert threads == {"e:others/0", "e:others/1", "e:others/2"}


def test_a_thread_of_its_own_may_accept(served: Any) -> None:
    eventer.pool_create("default", 2)
    eventer.start()
    listener = net.open_listener("echo", "127.0.0.1", fanout=True, accept_thread=True)
    listener.start()
    threads = set()
    for _ in range(4):
        assert echoed(socket.AF_INET, ("127.0.0.1", listener.port)) == b"hello"
        threads.add(served.get(timeout=10)[1].name)
    assert threads == {"e:default/0", "e:default/1"}
    listener.close()
    eventer.stop()
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", listener.port), 5)


def test_without_fanout_the_accepting_thread_keeps_its_connections(loops: Pool, served: Any) -> None:
    listener = net.open_listener("echo", "127.0.0.1")
    listener.start(loops.threads[1])
    for _ in range(3):
        echoed(socket.AF_INET, ("127.0.0.1", listener.port))
        assert served.get(timeout=10)[1] is loops.threads[1]


def test_accepting_goes_on_after_descriptors_ran_out(
    loops: Pool, served: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    errors = tmp_path / "errors"
    log.error.set_type("file", str(errors))
    listener = net.open_listener("echo", "127.0.0.1")
    real, refused = listener.sock, Queue[bool]()

    class Exhausted:
        def accept(self) -> Any:
            refused.put(True)
            if refused.qsize() < 3:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            listener.sock = real
            return real.accept()

        fileno, close = real.fileno, real.close

    monkeypatch.setattr(listener, "sock", Exhausted())
    listener.start()
    assert echoed(socket.AF_INET, ("127.0.0.1", listener.port)) == b"hello"
    assert refused.qsize() == 3
    assert errors.read_text().count("cannot accept") == 1, "told once"


@pytest.mark.parametrize("what", ["_owner", "_adopt"])
def test_a_listener_that_fails_over_one_connection_takes_the_next(
    loops: Pool, served: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    told = hear("error")
    listener = net.open_listener("echo", "127.0.0.1")
    really, asked = getattr(listener, what), []

    def fails_once(*given: Any) -> Any:
        asked.append(given)
        if len(asked) == 1:
            raise MemoryError
        return really(*given)

    monkeypatch.setattr(listener, what, fails_once)
    listener.start()
    with socket.create_connection(("127.0.0.1", listener.port), timeout=20):
        wait_for(told, rf"^listener on 127.0.0.1:{listener.port}: a connection was dropped\nTraceback ")
        assert echoed(socket.AF_INET, ("127.0.0.1", listener.port)) == b"hello"


@pytest.mark.parametrize("secured", [False, True], ids=["TCP", "TLS"])
@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_connection_whose_service_fails_is_closed(loops: Pool, tmp_path: Path, when: str, secured: bool) -> None:
    told = hear("error")
    held: list[str] = []

    class Held:
        def close(self) -> None:
            held.append("closed")

    def service(event: eventer.Event, mask: int, connection: Any, _now: float) -> int:
        if when == "at once" or connection.closure is not None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        connection.closure = Held()
        return int(eventer.READ)

    eventer.name_callback("failing", service)
    issued = Authority(tmp_path).issue("localhost")
    tls = Tls({"certificate_file": str(issued.certificate), "key_file": str(issued.key)}) if secured else None
    listener = net.open_listener("failing", "127.0.0.1", tls=tls)
    listener.start(loops.threads[0])
    with socket.create_connection(("127.0.0.1", listener.port), timeout=20) as plain:
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        client = trusting.wrap_socket(plain) if secured else plain
        with contextlib.closing(client), contextlib.suppress(ConnectionError, ssl.SSLEOFError):
            client.sendall(b"x")
            assert client.recv(1) == b""
    assert held == ([] if when == "at once" else ["closed"])
    assert not net.connections(loops.threads[0])
    wait_for(told, "callback failing failed on ")


def test_stopping_to_accept_leaves_connections_alone(loops: Pool, served: Any) -> None:
    listener = net.open_listener("echo", "127.0.0.1")
    listener.start(loops.threads[0])
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as client:
        served.get(timeout=10)
        net.stop_accepting()
        done: Queue[bool] = Queue()
        loops.threads[0].post(lambda: done.put(True))
        done.get(timeout=10)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", listener.port), timeout=10)
        client.sendall(b"still here")
        assert client.recv(100) == b"still here"
        assert net.listeners() == []


def test_connections_are_closed_when_their_loop_stops(loops: Pool, served: Any) -> None:
    listener = net.open_listener("echo", "127.0.0.1")
    listener.start()
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as client:
        connection, thread = served.get(timeout=10)
        assert connection in net.connections(thread)
        eventer.stop()
        assert client.recv(100) == b""
        assert connection.closed


@pytest.mark.parametrize("secure", [False, True])
def test_an_aco_may_serve_and_close_a_connection(loops: Pool, tmp_path: Path, secure: bool) -> None:
    def shout(event: eventer.AcoEvent) -> None:
        while data := eventer.aco_read(event, 100):
            eventer.aco_write(event, data.upper())
        eventer.aco_close(event)

    eventer.name_callback("shout", eventer.aco_callback(shout))
    issued = Authority(tmp_path).issue("localhost")
    (listener,) = net.listen(
        configuration(
            f"""<listeners><sslconfig><certificate_file>{issued.certificate}</certificate_file>
            <key_file>{issued.key}</key_file></sslconfig>
            <listener type="shout" address="127.0.0.1" port="0" ssl="{"on" if secure else "off"}"/></listeners>"""
        )
    )
    listener.start()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    impl = "SSL" if secure else "POSIX"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as plain:
            client = context.wrap_socket(plain) if secure else plain
            client.sendall(b"hello")
            assert client.recv(100) == b"HELLO"
            rows = [each for each in eventer.sockets() if each["callback"].startswith("aco")]
            assert [each["impl"] for each in rows] == [impl]
            client.close()
        until(lambda: not any(net.connections(thread) for thread in loops.threads))
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as client:
        until(lambda: any(net.connections(thread) for thread in loops.threads))
        eventer.stop()
        assert client.recv(100) == b""


def configuration(text: str) -> conf.Conf:
    return conf.loads(f"<app>{text}</app>".encode(), "app.conf")


def test_listeners_inherit_attributes_and_merge_config_from_their_ancestors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    opened = net.listen(
        configuration("""<listeners type="echo" address="127.0.0.1"><config><a>1</a><b>1</b></config>
          <web idle_timeout="500"><config><b>2</b></config><listener port="0"/><listener port="0" no_delay="off"/></web>
          <listener port="1" require_env="NOWHERE"/></listeners>
          <include><listeners type="other">
            <listener address="127.0.0.1" port="0" fanout="on"/></listeners></include>""")
    )
    assert [each.type for each in opened] == ["echo", "echo", "other"]
    assert opened[0].config == {"a": "1", "b": "2", "idle_timeout": "500"}
    assert [each.no_delay for each in opened] == [True, False, True]
    assert [each.fanout for each in opened] == [False, False, True]
    assert net.listeners() == opened


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ('<listener type="x" address="127.0.0.1"/>', "expected a port"),
        ('<listener address="127.0.0.1" port="0"/>', "expected a type"),
        ('<listener type="x" port="70000"/>', "port='70000': expected 0 to 65535"),
        ('<listener type="x" port="http"/>', "port='http': expected an integer"),
        ('<listener type="x" port="0" address="elsewhere"/>', "'elsewhere': expected a path"),
        ('<listener type="x" port="0" fanout="maybe"/>', "fanout='maybe': expected true"),
        ('<listener type="x" port="0" ssl="on"/>', "expected a certificate_file"),
    ],
)
def test_a_listener_that_cannot_be_is_named_with_its_line(element: str, message: str) -> None:
    with pytest.raises(conf.ConfError, match="app.conf:2: <listener>.*" + message):
        net.listen(configuration(f"<listeners>\n{element}</listeners>"))


def test_one_bad_listener_closes_those_before_it() -> None:
    with pytest.raises(conf.ConfError):
        net.listen(configuration('<listeners type="x" port="0"><listener/><listener address="bad"/></listeners>'))
    assert net.listeners() == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<web idle_timeout="1"><listener/></web>', "1"),
        ('<web><config><idle_timeout>2</idle_timeout></config><listener idle_timeout="1"/></web>', "1"),
        ('<web idle_timeout="2"><listener><config><idle_timeout>1</idle_timeout></config></listener></web>', "1"),
        ('<web idle_timeout="2"><config><idle_timeout>1</idle_timeout></config><listener/></web>', "1"),
        (
            "<config><idle_timeout>3</idle_timeout></config>"
            '<web idle_timeout="1"><listener><config><other>2</other></config></listener></web>',
            "1",
        ),
        (
            '<config id="slow"><idle_timeout>1</idle_timeout></config>'
            '<web idle_timeout="2"><listener><config inherit="slow"/></listener></web>',
            "1",
        ),
        ("<listener/>", None),
    ],
)
def test_the_nearest_idle_timeout_counts_wherever_it_stands(text: str, expected: str | None) -> None:
    text = f'<app type="echo" port="0" address="127.0.0.1"><listeners>{text}</listeners></app>'
    (listener,) = net.listen(conf.loads(text.encode()))
    try:
        assert listener.config.get("idle_timeout") == expected
    finally:
        listener.close()
