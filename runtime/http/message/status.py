"""Status lines, the Date header and the pages of errors: bytes made once and kept."""

import time
from http import HTTPStatus

_REASONS = {int(status): status.phrase.encode() for status in HTTPStatus}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_lines: dict[int, bytes] = {}
_date: tuple[int, bytes] = (0, b"")


def reason(code: int) -> bytes:
    """The usual phrase for *code*."""
    return _REASONS.get(code, b"Unknown")


def status_line(code: int) -> bytes:
    """``HTTP/1.1 CODE PHRASE`` with its end of line."""
    line = _lines.get(code)
    if line is None:
        line = _lines[code] = b"HTTP/1.1 %d %b\r\n" % (code, reason(code))
    return line


def date_line(when: float = 0.0) -> bytes:
    """The Date header of *when*, epoch seconds, or now."""
    global _date
    second, line = _date
    now = int(when or time.time())
    if now != second:
        line = b"Date: " + http_date(now) + b"\r\n"
        _date = (now, line)
    return line


def http_date(when: float) -> bytes:
    """*when*, epoch seconds, as HTTP writes dates; no locale plays into it."""
    t = time.gmtime(when)
    day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
    return f"{day}, {t.tm_mday:02} {month} {t.tm_year} {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT".encode()


def log_date(when: float) -> str:
    """*when*, epoch seconds, as the access log writes it."""
    t = time.gmtime(when)
    month = _MONTHS[t.tm_mon - 1]
    return f"{t.tm_mday:02}/{month}/{t.tm_year}:{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} -0000"
