"""What tests of reverse connections share: sockets that are closed afterwards, frames, and who is connected."""

import socket
import struct

import pytest

from runtime.net import _commands, reverse

kept_sockets: list[socket.socket] = []


def kept(sock: socket.socket) -> socket.socket:
    """*sock*, closed after the test."""
    kept_sockets.append(sock)
    sock.settimeout(20)
    return sock


def close_all() -> None:
    """Close what was kept."""
    while kept_sockets:
        kept_sockets.pop().close()


def ids() -> list[str]:
    return [each.id for each in reverse.tunnels()]


def exactly(sock: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = sock.recv(count - len(found))
        assert piece, f"the end after {found!r}"
        found += piece
    return found


def frame(sock: socket.socket) -> tuple[int, bytes, bool]:
    channel, length = struct.unpack(">HI", exactly(sock, 6))
    return channel & 0x7FFF, exactly(sock, length), bool(channel & 0x8000)


def known_to_dispatch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``control_dispatch`` know the command, and access control let everybody in but ``denied-by-acl``."""
    monkeypatch.setattr(_commands, "_commands", {})
    _commands.register_command(b"REVE", "reverse_accept/1.0", reverse.accept, None)
    monkeypatch.setattr(_commands, "_guard", lambda _connection, path: path != b"/reverse/denied-by-acl")
