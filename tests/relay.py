"""A relay between a client and a server, for tests, that stops reading when it is told to."""

import contextlib
import socket
import threading


class Relay:
    """Listens on a port of its own for connections to *port*.  What it has read when it pauses it keeps."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._going = threading.Event()
        self._going.set()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # its thread waits for clients
        self._server.close()
        self.resume()
        for thread in self._threads:
            self.cut()
            thread.join(10)
        for each in self._sockets:
            each.close()

    def pause(self) -> None:
        """Pass nothing on from now on, in no direction."""
        self._going.clear()

    def resume(self) -> None:
        self._going.set()

    def cut(self) -> None:
        """End all connections."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                self._sockets += (client, server)
                for source, sink in ((client, server), (server, client)):
                    self._threads.append(threading.Thread(target=self._pass_on, args=(source, sink), daemon=True))
                    self._threads[-1].start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._going.wait()
                data = source.recv(65536)
                self._going.wait()
                if not data:
                    break
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
