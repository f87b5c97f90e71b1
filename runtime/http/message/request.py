"""A request, read whole: what handlers are given.  Bytes as they came, but for the path, which is in one form."""

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from .peer import NOBODY, Peer
from .target import path_of, query_of

if TYPE_CHECKING:
    from .upload import Upload

Headers = list[tuple[bytes, bytes]]


class Request:
    """One request.

    Attributes: ``method``; ``uri``, path and query as sent; ``protocol``, ``HTTP/1.1`` or ``HTTP/1.0``; ``fields``,
    the headers in order with lower-case names; ``trailers``, likewise; ``payload``, the whole body, unless it is
    read as it comes: then ``streams`` holds, and ``upload`` is that body; ``received``, epoch seconds;
    ``captures``, what the route's expression caught; ``user``, who authenticated, or None, and ``auth``, how;
    ``peer``, who asks; ``closure``, for whoever serves it; ``span``, that of its trace, False where it has none, True
    where it is to have one, None before anybody asked."""

    __slots__ = (
        "__weakref__",
        "_headers",
        "_path",
        "auth",
        "captures",
        "closure",
        "fields",
        "keep_alive",
        "method",
        "payload",
        "peer",
        "protocol",
        "received",
        "route",
        "span",
        "streams",
        "trailers",
        "upload",
        "uri",
        "user",
    )

    def __init__(self, peer: Peer = NOBODY) -> None:
        self.method = b""
        self.uri = b""
        self.protocol = b"HTTP/1.1"
        self.fields: Headers = []
        self.trailers: Headers = []
        self.payload = b""
        self.keep_alive = True
        self.received = 0.0
        self.captures: tuple[bytes | None, ...] = ()
        self.user: bytes | None = None
        self.auth: bytes | None = None
        self.peer = peer
        self.closure: Any = None
        self.route: Any = None
        self.span: Any = None
        self.streams = False
        self.upload: Upload | None = None
        self._headers: dict[bytes, bytes] | None = None
        self._path: bytes | None = None

    def __repr__(self) -> str:
        return f"<Request {self.method.decode('latin-1')} {self.uri.decode('latin-1')}>"

    def again(self, peer: Peer, received: float) -> "Request":
        """A request of *peer* with the same head, and no body, as this one had when it was read."""
        new = Request(peer)
        new.method = self.method
        new.uri = self.uri
        new.protocol = self.protocol
        new.fields = self.fields.copy()
        new.keep_alive = self.keep_alive
        new.received = received
        new._path = self.path
        return new

    def described(self) -> dict[str, Any]:
        """What hooks in Lua get of it."""
        return {
            "method": self.method,
            "uri": self.path,
            "querystring": self.query,
            "protocol": self.protocol,
            "user": self.user,
            "headers": self.headers,
            "remote": self.peer.remote or None,
        }

    @property
    def path(self) -> bytes:
        """The path that is asked for, in its normal form (:mod:`target`); empty when the URI has none."""
        path = self._path
        if path is None:
            path = self._path = path_of(self.uri)
        return path

    @property
    def query(self) -> bytes:
        """What follows the first question mark of the URI, as sent."""
        return query_of(self.uri)

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers by lower-case name; those that came more than once joined by commas, cookies by semicolons."""
        headers = self._headers
        if headers is None:
            headers = {}
            for name, value in self.fields:
                if name in headers:
                    value = headers[name] + (b"; " if name == b"cookie" else b", ") + value
                headers[name] = value
            self._headers = headers
        return headers

    def header(self, name: bytes | str) -> bytes | None:
        """The header *name*, in any case; None when it did not come."""
        key = name.encode("latin-1") if isinstance(name, str) else name
        return self.headers.get(key.lower())

    def drop(self, name: bytes) -> None:
        """Have the header *name*, in lower case, not come."""
        self.fields = [each for each in self.fields if each[0] != name]
        self._headers = None

    def querystring(self, key: bytes | str | None = None) -> Any:
        """All query parameters, decoded, as a dict, the first of a name counting; with *key* that one, or None."""
        found: dict[bytes, bytes] = {}
        for part in self.query.split(b"&"):
            if part:
                name, _, value = part.partition(b"=")
                found.setdefault(_decoded(name), _decoded(value))
        if key is None:
            return found
        return found.get(key.encode() if isinstance(key, str) else key)


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))
