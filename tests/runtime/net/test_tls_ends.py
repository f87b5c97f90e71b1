"""TLS clients that do not do as they should: no protocol in common, an end without a farewell."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import secure, suspended

from runtime.eventer import Pool
from runtime.http import Response
from runtime.net._hello import offered_protocols


@pytest.fixture
def waiting(loops: Pool) -> Iterator[Queue[Response]]:
    with suspended() as responses:
        yield responses


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("lenient", ["false", "true"])
def test_a_client_that_ends_its_sending_without_a_farewell_gets_its_answer(
    waiting: Queue[Response], tmp_path: Path, version: ssl.TLSVersion, lenient: str
) -> None:
    port, context = secure(tmp_path, optional_no_ca=lenient)
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        client = context.wrap_socket(plain, server_hostname="localhost")
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        response = waiting.get(timeout=20)
        socket.socket.shutdown(client, socket.SHUT_WR)

        def end() -> None:
            response.write("answered")
            response.flush_end()

        assert response.owner is not None
        for _ in range(20):
            done: Queue[bool] = Queue()
            response.owner.post(done.put, True)
            assert done.get(timeout=20)
        response.resume(end)
        data = b""
        while not data.endswith(b"answered"):
            chunk = client.recv(65536)
            assert chunk, data
            data += chunk
        client.close()


@pytest.mark.parametrize(("offer", "agreed"), [(["h2"], "h2"), (["http/1.1"], "http/1.1"), (["x", "h2"], "h2")])
def test_a_protocol_in_common_is_agreed_on(
    waiting: Queue[Response], tmp_path: Path, offer: list[str], agreed: str
) -> None:
    port, context = secure(tmp_path)
    context.set_alpn_protocols(offer)
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        client = context.wrap_socket(plain, server_hostname="localhost")
        assert client.selected_alpn_protocol() == agreed
        client.close()


@pytest.mark.parametrize("lenient", ["false", "true"])
@pytest.mark.parametrize(("npn", "offer"), [("h2", ["spdy/1"]), ("none", ["h2"]), ("h2", ["a", "b"])])
def test_a_client_without_a_protocol_in_common_is_refused(
    waiting: Queue[Response], tmp_path: Path, lenient: str, npn: str, offer: list[str]
) -> None:
    port, context = secure(tmp_path, npn=npn, optional_no_ca=lenient)
    context.set_alpn_protocols(offer)
    with (
        socket.create_connection(("127.0.0.1", port), 20) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_openssl_is_told_so_too(waiting: Queue[Response], tmp_path: Path) -> None:
    port, _ = secure(tmp_path)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "gopher"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    assert "no application protocol" in done.stderr.lower()


@given(st.binary(max_size=400))
def test_whatever_comes_first_is_read_without_harm(data: bytes) -> None:
    assert offered_protocols(data) is None or data[0] == 22
