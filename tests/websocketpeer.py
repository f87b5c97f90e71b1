"""A WebSocket server on wsproto, for tests of clients."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from wsproto import ConnectionType, WSConnection, events


def converse(peer: socket.socket, server: Callable[[Any], Any]) -> None:
    """Speak WebSocket on *peer*: *server* answers each event with events to send."""
    connection = WSConnection(ConnectionType.SERVER)
    while True:
        data = peer.recv(65536)
        connection.receive_data(data or None)
        for event in connection.events():
            for answer in server(event) or ():
                peer.sendall(connection.send(answer))
            if isinstance(event, events.CloseConnection):
                if not data or connection.state.name != "CLOSED":
                    peer.sendall(connection.send(event.response()))
                return
        if not data:
            return


@contextmanager
def serving(talk: Callable[[socket.socket], Any], context: ssl.SSLContext | None = None) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            accepted, _ = server.accept()
            accepted.settimeout(20)
            with context.wrap_socket(accepted, server_side=True) if context else accepted as peer:
                talk(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)
        assert not thread.is_alive()


def echo(event: Any) -> Any:
    if isinstance(event, events.Request):
        chosen = event.subprotocols[0] if event.subprotocols else None
        return [events.AcceptConnection(subprotocol=chosen)]
    if isinstance(event, events.TextMessage):
        return [
            events.Ping(payload=b"are you there"),
            events.TextMessage(data=event.data[:3], message_finished=False),
            events.TextMessage(data=event.data[3:], message_finished=event.message_finished),
        ]
    if isinstance(event, events.BytesMessage):
        return [events.BytesMessage(data=event.data, message_finished=event.message_finished)]
    return None
