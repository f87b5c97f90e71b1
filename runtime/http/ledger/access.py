"""Lines of the access log, ``http/access``: one an answer.  Manual: Logging (http/access)."""

from collections.abc import Iterable

from runtime.http.message.known import Known
from runtime.http.message.status import log_date
from runtime.http.message.target import path_of, query_of
from runtime.http.message.target import shown as target_shown

from .entry import Entry

_ESCAPES = str.maketrans({chr(code): f"\\x{code:02x}" for code in (*range(32), 34, 92, *range(127, 256))})


_known: Known[tuple[bytes, bytes, bytes], str] = Known()  # what requests were, as the log shows it


def lines(entries: Iterable[Entry]) -> list[str]:
    """The lines of *entries*."""
    made = []
    second, date = 0, ""
    peer_before = user_before = finished_before = received_before = None
    who = elapsed = ""
    for peer, method, uri, protocol, user, received, finished, code, written, read, _, _ in entries:
        if (  # those that were served together have these in common
            finished != finished_before
            or received != received_before
            or peer is not peer_before
            or user is not user_before
        ):
            peer_before, user_before, received_before, finished_before = peer, user, received, finished
            if int(finished) != second:
                second, date = int(finished), log_date(finished)
            who = f"{peer.remote or '-'} - {'-' if user is None else escaped(user)} [{date}]"
            elapsed = f"{(finished - received) * 1000 if 0.0 < received < finished else 0.0:.3f}"
        what = _known.get((method, uri, protocol)) or shown(method, uri, protocol)
        made.append(f'{who} "{what}" {code} {written}|{read} {elapsed}\n')
    return made


def pairs(entry: Entry) -> dict[str, int | float | str]:
    """The parts of that line by name, for logs that keep them apart."""
    return {
        "ip": entry.peer.remote,
        "user": "" if entry.user is None else entry.user.decode("utf-8", "replace"),
        "method": entry.method.decode("latin-1"),
        "protocol": entry.protocol.decode("latin-1"),
        "uri": path_of(entry.uri).decode("utf-8", "replace"),
        "querystring": query_of(entry.uri).decode("utf-8", "replace"),
        "status": entry.code,
        "latency": entry.finished - entry.received if 0.0 < entry.received < entry.finished else 0.0,
        "bytes_written": entry.written,
        "bytes_read": entry.read,
    }


def shown(method: bytes, uri: bytes, protocol: bytes) -> str:
    """A request as the log shows it."""
    what = f"{escaped(method)} {escaped(target_shown(uri))} {protocol.decode()}"
    _known.keep((method, uri, protocol), what, len(uri))
    return what


def escaped(raw: bytes) -> str:
    """*raw* with quotes, backslashes and control characters escaped, so that nobody forges a line."""
    text = raw.decode("latin-1")
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return text if plain else text.translate(_ESCAPES)
