"""Where a response goes, and how it is framed there: the protocol of a connection, or of one stream of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .response import Response


class Sink(Protocol):
    """What a response asks of it."""

    @property
    def writable(self) -> bool:
        """Whether a handler should make more."""

    @property
    def raw(self) -> "Callable[[Response, bytes], None] | None":
        """Sends a response that is complete, given as bytes of HTTP/1.1; None where another version is spoken."""

    def whole(self, response: "Response", headers: dict[bytes, bytes], content: bytes) -> None:
        """Send a response to a request of HTTP/1.1 or above in one piece; *headers* are lines by lower-case name."""

    def head(self, response: "Response", headers: dict[bytes, bytes], measured: bool, silent: bool) -> None:
        """Send status and *headers*; *measured*, they tell the length or it goes without saying; *silent*, no body."""

    def data(self, response: "Response", data: bytes) -> None:
        """Send *data* of the body."""

    def end(self, response: "Response", cut: bool) -> None:
        """*response* is complete, or *cut* short, which the client must notice."""

    def on_drain(self, function: Callable[[], object]) -> None:
        """Have *function* called once when ``writable`` holds again."""

    def push(self) -> None:
        """That was all for now: get it on its way."""
