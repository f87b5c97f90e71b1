"""The access log, ``http/access``: one line a response.  Manual: Logging (http/access)."""

import time

from runtime import log

from ._request import Request
from ._response import Response
from ._status import log_date

_ESCAPES = str.maketrans({chr(code): f"\\x{code:02x}" for code in (*range(32), 34, 92, *range(127, 256))})

_date: tuple[int, str] = (0, "")


def stream() -> log.LogStream:
    """The log stream, as it is now: logs may have been set up anew."""
    return log.stream_find("http/access")


def record(request: Request, response: Response, remote: str) -> None:
    """Log a response that is complete; the caller checked that :func:`stream` is enabled."""
    global _date
    now = time.time()
    second, date = _date
    if int(now) != second:
        date = log_date(now)
        _date = (int(now), date)
    elapsed = max(0.0, now - request.received) * 1000 if request.received else 0.0
    user = "-" if request.user is None else _shown(request.user)
    what = f"{_shown(request.method)} {_shown(request.uri)} {request.protocol.decode()}"
    counts = f"{response.code} {response.written}|{len(request.payload)} {elapsed:.3f}"
    stream().log(f'{remote or "-"} - {user} [{date}] "{what}" {counts}\n'.encode(), file=__file__, line=1)


def _shown(raw: bytes) -> str:
    """*raw* with quotes, backslashes and control characters escaped, so that nobody forges a line."""
    text = raw.decode("latin-1")
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return text if plain else text.translate(_ESCAPES)
