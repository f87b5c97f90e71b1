"""Bodies of requests that came encoded: handlers get them decoded, within the limit that they have without it."""

from .encoding import TooLong, decoded
from .request import Request


def decode(request: Request, most: int) -> int | None:
    """Take the encodings off the body of *request*, and their header; the status that refuses it, or None.

    RFC 9110, 8.4: what is decoded may have *most* bytes."""
    if not request.payload:
        return None
    named = request.header(b"content-encoding")
    if named is None:
        return None
    for encoding in reversed([each.strip().lower() for each in named.split(b",")]):
        if encoding not in (b"", b"identity"):
            try:
                request.payload = decoded(request.payload, encoding, most)
            except TooLong:
                return 413
            except LookupError:
                return 415
            except ValueError:
                return 400
    request.drop(b"content-encoding")
    return None
