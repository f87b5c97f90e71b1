"""What a request asks for: its target in one form, so that what is routed, allowed, opened and logged is one path.

RFC 9112, section 3.2; RFC 3986, section 6.2.2.  A path is decoded once, its dot segments are resolved and its doubled
slashes are one; the root is never left.
"""

import re
from urllib.parse import unquote_to_bytes

_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)(.*)", re.DOTALL)
_UNUSUAL = re.compile(rb"[%?#]|//|/\.")  # in a path that is not in its normal form
_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})|%00")  # what is none, and what no path holds


def path_of(target: bytes) -> bytes:
    """The path of *target*, normal; empty when it has none that could be made so, which is a bad request.

    ``*`` and the target of CONNECT are as they came."""
    if target.startswith(b"/") and _UNUSUAL.search(target) is None:
        return target
    path = _raw(target)
    if b"%" in path:
        if _ESCAPE.search(path):
            return b""
        path = unquote_to_bytes(path)
    if b"//" not in path and b"/." not in path:
        return path
    segments: list[bytes] = []
    parts = path.split(b"/")
    for part in parts:
        if part == b"..":
            del segments[-1:]
        elif part not in (b"", b"."):
            segments.append(part)
    directory = bool(segments) and parts[-1] in (b"", b".", b"..")
    return b"/" + b"/".join(segments) + (b"/" if directory else b"")


def left_by(target: bytes) -> tuple[bytes, ...]:
    """The directories, as normal paths with a slash at their end, that *target* enters only to leave them by ``..``."""
    if b".." not in target and b"%" not in target:
        return ()
    path = _raw(target)
    if b"%" in path:
        path = unquote_to_bytes(path)
    if b".." not in path:
        return ()
    segments: list[bytes] = []
    left: list[bytes] = []
    for part in path.split(b"/"):
        if part == b".." and segments:
            left.append(b"/" + b"/".join(segments) + b"/")
            segments.pop()
        elif part not in (b"", b".", b".."):
            segments.append(part)
    return tuple(left)


def query_of(target: bytes) -> bytes:
    """What follows the first question mark of *target*, as sent."""
    return target.partition(b"?")[2].partition(b"#")[0]


def authority_of(target: bytes) -> bytes | None:
    """The host, with its port, that *target* names; None when it names none."""
    absolute = None if target.startswith(b"/") else _ABSOLUTE.fullmatch(target)
    return None if absolute is None else absolute[1]


def shown(target: bytes) -> bytes:
    """*target* as logs show it: its path, normal where that can be, and its query."""
    query = query_of(target)
    path = path_of(target) or _raw(target)
    return path + b"?" + query if query else path


def _raw(target: bytes) -> bytes:
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None:
            target = absolute[2]
            if not target.startswith(b"/"):
                target = b"/" + target  # only a query, or nothing
    for end in (b"?", b"#"):
        if end in target:
            target = target[: target.index(end)]
    return target
