"""Lines of the access log, ``http/access``: one a response.  Manual: Logging (http/access)."""

from runtime.http.message.request import Request
from runtime.http.message.response import Response
from runtime.http.message.status import log_date

_ESCAPES = str.maketrans({chr(code): f"\\x{code:02x}" for code in (*range(32), 34, 92, *range(127, 256))})

_MOST_KNOWN = 1024

_known: dict[tuple[bytes, bytes, bytes], str] = {}  # what requests were, as the log shows it


def lines(entries: list[tuple[Response, float]]) -> list[str]:
    """The lines of responses with the epoch seconds that they were complete at."""
    made = []
    second, date = 0, ""
    for response, now in entries:
        if int(now) != second:
            second, date = int(now), log_date(now)
        request = response.request
        received = request.received
        key = (request.method, request.uri, request.protocol)
        what = _known.get(key) or _what(request, key)
        remote = request.peer.remote or "-"
        user = "-" if request.user is None else _shown(request.user)
        elapsed = (now - received) * 1000 if 0.0 < received < now else 0.0
        counts = f"{response.code} {response.written}|{len(request.payload)}"
        made.append(f'{remote} - {user} [{date}] "{what}" {counts} {elapsed:.3f}\n')
    return made


def pairs(response: Response, now: float) -> dict[str, int | float | str]:
    """The parts of that line by name, for logs that keep them apart."""
    request = response.request
    return {
        "ip": request.peer.remote,
        "user": "" if request.user is None else request.user.decode("utf-8", "replace"),
        "method": request.method.decode("latin-1"),
        "protocol": request.protocol.decode("latin-1"),
        "uri": request.path.decode("utf-8", "replace"),
        "querystring": request.query.decode("utf-8", "replace"),
        "status": response.code,
        "latency": now - request.received if 0.0 < request.received < now else 0.0,
        "bytes_written": response.written,
        "bytes_read": len(request.payload),
    }


def _what(request: Request, key: tuple[bytes, bytes, bytes]) -> str:
    what = f"{_shown(request.method)} {_shown(request.uri)} {request.protocol.decode()}"
    if len(request.uri) < 256:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[key] = what
    return what


def _shown(raw: bytes) -> str:
    """*raw* with quotes, backslashes and control characters escaped, so that nobody forges a line."""
    text = raw.decode("latin-1")
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return text if plain else text.translate(_ESCAPES)
