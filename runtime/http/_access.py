"""The access log, ``http/access``: one line a response.  Manual: Logging (http/access)."""

from runtime import eventer, log

from ._request import Request
from ._response import Response
from ._status import log_date

_ESCAPES = str.maketrans({chr(code): f"\\x{code:02x}" for code in (*range(32), 34, 92, *range(127, 256))})

_MOST_KNOWN = 1024

_date: tuple[int, str] = (0, "")
_lines: dict[eventer.LoopThread, list[bytes]] = {}  # of this turn of the loop: written at its end, as one
_known: dict[tuple[bytes, bytes, bytes], str] = {}  # what requests were, as the log shows it


def stream() -> log.LogStream:
    """The log stream, as it is now: logs may have been set up anew."""
    return log.stream_find("http/access")


def record(log_stream: log.LogStream, request: Request, response: Response, remote: str, now: float) -> None:
    """Log a response that is complete at *now* to *log_stream*, which the caller found enabled."""
    global _date
    second, date = _date
    if int(now) != second:
        date = log_date(now)
        _date = (int(now), date)
    elapsed = max(0.0, now - request.received) * 1000 if request.received else 0.0
    user = "-" if request.user is None else _shown(request.user)
    key = (request.method, request.uri, request.protocol)
    what = _known.get(key)
    if what is None:
        what = f"{_shown(request.method)} {_shown(request.uri)} {request.protocol.decode()}"
        if len(request.uri) < 256:
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            _known[key] = what
    counts = f"{response.code} {response.written}|{len(request.payload)} {elapsed:.3f}"
    message = f'{remote or "-"} - {user} [{date}] "{what}" {counts}\n'.encode()
    if log_stream.is_bare and eventer.is_loop_thread():
        thread = eventer.current()
        lines = _lines.get(thread)
        if lines is None:
            lines = _lines[thread] = []
            thread.at_stop(lambda: _forget(thread))
        if not lines:
            thread.loop.run_callback(_flush, thread)
        lines.append(message)
        return
    pairs = _pairs(request, response, remote, elapsed / 1000) if log_stream.wants_pairs else None
    log_stream.log(message, file=__file__, line=1, pairs=pairs)


def flush_access_log() -> None:
    """Write what the loops have not written yet; when the process ends at once."""
    for thread in list(_lines):
        _flush(thread)


def _forget(thread: eventer.LoopThread) -> None:
    _flush(thread)
    _lines.pop(thread, None)


def _flush(thread: eventer.LoopThread) -> None:
    lines = _lines.get(thread)
    if lines:
        text = b"".join(lines)
        lines.clear()
        stream().log(text, file=__file__, line=1)


def _pairs(request: Request, response: Response, remote: str, latency: float) -> dict[str, int | float | str]:
    return {
        "ip": remote,
        "user": "" if request.user is None else request.user.decode("utf-8", "replace"),
        "method": request.method.decode("latin-1"),
        "protocol": request.protocol.decode("latin-1"),
        "uri": request.path.decode("utf-8", "replace"),
        "querystring": request.query.decode("utf-8", "replace"),
        "status": response.code,
        "latency": latency,
        "bytes_written": response.written,
        "bytes_read": len(request.payload),
    }


def _shown(raw: bytes) -> str:
    """*raw* with quotes, backslashes and control characters escaped, so that nobody forges a line."""
    text = raw.decode("latin-1")
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return text if plain else text.translate(_ESCAPES)
