"""The log type ``fq``: each line is published as a message.  Manual: fq."""

from collections.abc import Mapping

from runtime.log import LogError, LogType

from . import send_data, wire

PREFIX = "mtev.log"
"""Begins the route of what has no other."""


class FqLog(LogType):
    """``path="EXCHANGE[/PREFIX]"``: lines go to EXCHANGE of every connection, with the route PREFIX.LOGNAME."""

    def __init__(self, name: str, path: str | None, fd: int | None, config: Mapping[str, str]) -> None:
        super().__init__(name, path, fd, config)
        exchange, _, prefix = (path or "").partition("/")
        self.exchange = exchange.encode()
        self.route = f"{prefix or PREFIX}.{name}".encode()
        if not exchange or len(self.exchange) > wire.SHORT or len(self.route) > wire.SHORT:
            raise LogError(
                f"log '{name}': path: expected EXCHANGE[/PREFIX], each of at most {wire.SHORT} bytes, got '{path}'"
            )

    def open(self) -> None:
        """There is nothing to open."""

    def write(self, when: int, line: bytes) -> None:
        """Publish *line*."""
        if not send_data(self.exchange, self.route, line):
            self.write_errors += 1

    def close(self) -> None:
        """What waits is the connections'."""
