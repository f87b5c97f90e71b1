"""Paths of requests in one form, so that what access control sees is what is served."""

from urllib.parse import unquote_to_bytes


def normal(path: bytes) -> bytes:
    """*path* decoded, without empty, ``.`` and ``..`` segments; the root is never left."""
    if b"%" in path:
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
