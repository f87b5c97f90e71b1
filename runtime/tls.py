"""What uses of TLS have in common: calls that have to wait, the grammar of a layer, PEM given as text, contexts that
are kept.

Manual: sslconfig.
"""

import re
import ssl
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from runtime.stamps import stamp

_VERSIONS = {
    "tlsv1": ssl.TLSVersion.TLSv1,
    "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
_REFUSALS = {"!tlsv1": "tlsv1.1", "!tlsv1.1": "tlsv1.2", "!tlsv1.2": "tlsv1.3"}  # and the least that this leaves
_NOTHING = {"", "all", "!all", "!sslv2", "!sslv3"}  # never spoken, or no restriction
_BOUND = re.compile(r"([<>]?=)\s*(.+)")
_KEPT = 64  # contexts

NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's flag for who verifies: whatever the date is.  Python's ssl has no name for it."""

READ, WRITE = 1, 2
"""What such a call may wait for, as masks of the eventer's."""

WANTS: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""Raised by a call on a TLS socket that does not block and has to wait for the network."""


def wanted(want: Exception) -> int:
    """READ or WRITE, whichever *want*, one of WANTS, waits for."""
    return READ if isinstance(want, ssl.SSLWantReadError) else WRITE


def recv(sock: Any, size: int) -> bytes | None:
    """Up to *size* bytes of a TLS socket, none at its end, None while there are none."""
    try:
        received: bytes = sock.recv(size)
    except WANTS:
        return None
    except ssl.SSLEOFError:
        return b""
    return received


def send(sock: Any, data: bytes | memoryview) -> int:
    """How many bytes of *data* a TLS socket took."""
    try:
        taken: int = sock.send(data)
    except WANTS:
        return 0
    return taken


def apply_layer(context: ssl.SSLContext, layer: str) -> None:
    """Restrict *context* to the layer ``name:option,option``.

    Below TLS 1.2 is spoken only what is named without a colon and ``all`` behind it: ``tlsv1:all`` is the old way to
    say any version.  An option ``=VERSION``, ``>=VERSION`` or ``<=VERSION`` takes the place of what was said before it.
    Raises :exc:`ValueError` for an unknown name or option, and where no version is left."""
    name, _, options = (part.strip().lower() for part in layer.partition(":"))
    least, most = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    if name in _VERSIONS and not (name == "tlsv1" and options):
        least = _VERSIONS[name]
    elif name not in ("", "all", "tlsv1"):
        raise ValueError(f"layer '{layer}': expected tlsv1, tlsv1.1, tlsv1.2 or tlsv1.3, then :options")
    for option in (each.strip() for each in options.split(",")):
        bound = _BOUND.fullmatch(option)
        if bound and bound[2] in _VERSIONS:
            version = _VERSIONS[bound[2]]
            most = version if bound[1] != ">=" else most
            least = version if bound[1] != "<=" else min(least, version)
        elif option == "!tlsv1.3":
            most = min(most, ssl.TLSVersion.TLSv1_2)
        elif option in _REFUSALS:
            least = max(least, _VERSIONS[_REFUSALS[option]])
        elif option in _VERSIONS:
            least = min(least, _VERSIONS[option])
        elif option in ("cipher_server_preference", "cipher server preference"):
            context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        elif option not in _NOTHING:
            raise ValueError(f"layer '{layer}': there is no option '{option}'")
    if least > most:
        raise ValueError(f"layer '{layer}': it leaves no version to speak")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # who names an old version knows
        context.minimum_version = least
        if most < ssl.TLSVersion.TLSv1_3:
            context.maximum_version = most


def is_inline(pem: str) -> bool:
    """Whether *pem* is the text itself, well-formed or not; else it is the path of a file."""
    return "\n" in pem or "-----BEGIN" in pem


def shown(pem: str) -> str:
    """*pem* for a message, which has paths, not texts."""
    return "(given as text)" if is_inline(pem) else pem


@contextmanager
def as_file(pem: str) -> Iterator[str]:
    """The path of *pem*; text lies in a file of this user's while it is read: the library takes nothing else.

    The lines of a text may be indented."""
    if not is_inline(pem):
        yield pem
        return
    import tempfile  # few have texts

    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write("\n".join([*map(str.strip, pem.splitlines()), ""]).encode(errors="surrogateescape"))
        file.flush()
        yield file.name


class Contexts:
    """Contexts by what they were asked for, the last used of them, made again when one of their files changes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[object, ssl.SSLContext]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, files: list[str], make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """The context of *key*, made by *make* unless one is kept that read the same *files*."""
        found = [stamp(each) for each in files]
        with self._lock:
            known = self._kept.get(key)
            if known is not None and known[0] == found:
                self._kept.move_to_end(key)
                return known[1]
        made = make()
        with self._lock:
            self._kept[key] = found, made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made
