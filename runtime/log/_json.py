"""The format `json`: one object a line.  Manual: Logging, format."""

from typing import Any

from ._line import Line


def as_json(_flags: int, line: Line) -> bytes:
    """timestamp, facility, threadid, threadname, file, line, message, then each pair; what is no UTF-8 is escaped."""
    import json  # when there is a stream in this format

    fields: dict[str, Any] = {
        "timestamp": line.timestamp(),
        "facility": _text(line.facility),
        "threadid": line.threadid,
        "threadname": line.threadname,
        "file": line.file,
        "line": line.line,
        "message": _text(line.message),
    }
    for key, value in line.pairs:
        fields.setdefault(key, value if isinstance(value, (int, float, str)) else str(value))
    return json.dumps(fields, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace") + b"\n"


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
