"""The listener type ``control_dispatch``: a connection's first four bytes choose who speaks on it.

They are a registered command, or the beginning of HTTP.  They have as long to come as the head of a request, and
whoever guards the paths of HTTP is asked whether the command may be given.  Manual: Listeners, control_dispatch.
"""

from collections.abc import Callable
from typing import Final

from runtime import eventer, log
from runtime.conf import parse_integer
from runtime.eventer import EXCEPTION, READ, WRITE, Event

from ._connection import Connection

_errors: Final = log.facility("error/listener")
_debug: Final = log.facility("debug/listener")

SIZE = 4
HEADER_TIMEOUT = 30000  # milliseconds, unless the listener says otherwise

Command = Callable[[Connection], bytes | None]
Fallback = Callable[[Event, Connection, bytes, float], int]
Guard = Callable[[Connection, bytes], bool]

_commands: dict[bytes, tuple[str, Command, str | None]] = {}
_guard: Guard | None = None
_fallback: Fallback | None = None
_fallback_words: dict[bytes, str] = {}


class _Opening:
    """The closure of a connection whose first bytes are still to come."""

    arriving = True

    def __init__(self, connection: Connection) -> None:
        self.word = b""
        self._connection = connection
        limit = parse_integer(connection.config.get("header_timeout") or str(HEADER_TIMEOUT))
        self._deadline = eventer.add_in(self._too_slow, None, limit / 1000) if limit else None

    def close(self) -> None:
        """The bytes are there, or nobody waits for them any more."""
        if self._deadline is not None:
            eventer.remove(self._deadline)
            self._deadline = None

    def _too_slow(self, *_: object) -> None:
        self._deadline = None
        if _debug.enabled:
            _debug.log(f"{self._connection!r}: closed, timeout (command)\n")
        self._connection.close()


def register_command(word: bytes, name: str, command: Command, path: str | None = "") -> None:
    """Have *command* called with a connection that begins with *word*, four bytes; *name* is ``NAME/VERSION``.

    It returns bytes to be sent before the connection is closed, or None when it has taken the connection over: then it
    has set the event's callback and closure.  Access control is asked for *path*, by default ``/NAME``; with None the
    command asks :func:`may` itself.  Raises ValueError for another size or a word that is taken."""
    if len(word) != SIZE:
        raise ValueError(f"a command has {SIZE} bytes, not {word!r}")
    if word in _commands:
        raise ValueError(f"there is a command {word!r} already")
    if path == "":
        path = "/" + name.partition("/")[0]
    _commands[word] = (name, command, path)


def commands() -> dict[bytes, str]:
    """The names of the registered commands, and of the words that the fallback is known for."""
    return _fallback_words | {word: name for word, (name, *_) in _commands.items()}


def set_fallback(fallback: Fallback, name: str, words: tuple[bytes, ...]) -> None:
    """Have *fallback* take over connections that begin with no command; it is given what was read.

    :func:`commands` names the *words* that it is known for, not all that it may understand."""
    global _fallback, _fallback_words
    _fallback = fallback
    _fallback_words = dict.fromkeys(words, name)


def set_guard(guard: Guard) -> None:
    """Have *guard* say whether a connection may ask for a path."""
    global _guard
    _guard = guard


def may(connection: Connection, path: str) -> bool:
    """Whether access control lets *connection* ask for *path*; nobody may while there is none."""
    return _guard is not None and _guard(connection, path.encode())


def control_dispatch(event: Event, _mask: int, connection: Connection, now: float) -> int:
    """The listener type."""
    opening = connection.closure
    if not isinstance(opening, _Opening):
        connection.closure = opening = _Opening(connection)
    try:
        data = connection.recv(SIZE - len(opening.word))
    except OSError:
        data = b""
    if data is None:
        return READ | EXCEPTION
    word = opening.word = opening.word + data
    if len(word) < SIZE and data:
        return READ | EXCEPTION
    opening.close()
    connection.closure = None
    if _debug.enabled:
        _debug.log(f"{connection!r} begins with {word!r}\n")
    known = _commands.get(word)
    if known is not None:
        return _run(event, connection, *known)
    if _fallback is None or len(word) < SIZE:
        connection.close()
        return 0
    return _fallback(event, connection, word, now)


def _run(event: Event, connection: Connection, name: str, command: Command, path: str | None) -> int:
    if path is not None and not may(connection, path):
        connection.close()
        return 0
    try:
        reply = command(connection)
    except Exception as failure:
        _errors.log(f"command {name} of {connection.remote[0]} failed: {failure!r}\n")
        connection.close()
        return 0
    if reply is None:
        return event.mask
    connection.closure = reply
    event.callback = _send
    return _send(event, WRITE, connection, 0.0)


def _send(_event: Event, _mask: int, connection: Connection, _now: float) -> int:
    rest = connection.closure
    assert isinstance(rest, bytes)
    try:
        connection.closure = rest[connection.send(rest) :]
    except OSError:
        connection.closure = b""
    if connection.closure:
        return WRITE | EXCEPTION
    connection.close()
    return 0


eventer.name_callback("control_dispatch", control_dispatch)
