"""What of the bytes of HTTP is no log's to keep: cookies, credentials, passwords in forms."""

import re

_SECRETS = re.compile(
    rb"(?im)^((?:set-)?cookie|(?:proxy-)?authorization):[ \t]*([^\r\n]+)"
    rb"|((?:password|passwd|pwd|pass|secret|token)=)([^&\s]+)"
)


def masked(octets: bytes) -> bytes:
    """*octets* with stars for each byte of those."""
    return _SECRETS.sub(_starred, octets)


def _starred(found: "re.Match[bytes]") -> bytes:
    value = found[2] or found[4]
    return found[0][: -len(value)] + b"*" * len(value)
