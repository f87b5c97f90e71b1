"""What Lua says in response, into a :class:`runtime.http.Response`: for both engines."""

from collections.abc import Callable
from typing import Any

from runtime import log
from runtime.http import Response

WRITABLE, ALIVE = 1, 2
"""What Lua learns when it has said something: the client takes more at once; the client is there."""


def say_file(
    response: Response, body: bytes, fd: float, size: float | None, offset: float | None
) -> tuple[bool, str | None]:
    """Hand the response *body* and what the file *fd* has from *offset* on, *size* bytes or all; says what failed."""
    if body:
        response.write(body)
    try:
        response.write_fd(int(fd), None if size is None else int(size), int(offset or 0))
    except (OSError, ValueError) as failure:
        return False, getattr(failure, "strerror", None) or str(failure)
    return True, None


def say(
    response: Response,
    code: int,
    reason: bytes | None,
    options: int,
    ending: bool,
    body: bytes,
    headers: tuple[bytes, ...],
) -> int:
    """Hand the response what Lua gathered; returns WRITABLE and ALIVE, whichever holds."""
    if response.complete:
        return WRITABLE
    if not response.started:
        if code != 200 or (reason is not None and reason != b"OK"):
            response.status(code, reason)
        if headers:
            pairs = iter(headers)
            for name, value in zip(pairs, pairs, strict=True):
                response.header(name, value)
        if options:
            response.option(options)
    if body:
        response.write(body)
    if ending:
        response.flush_end()
        return WRITABLE | ALIVE
    return (WRITABLE if response.flush() else 0) | ALIVE


def say_there(response: Response, *said: Any) -> None:
    """:func:`say` where nobody is left that an error could be told: it is logged, and the client learns of it."""
    try:
        say(response, *said)
    except Exception as failure:
        log.facility("error/rest").log(f"{response!r} cannot be sent: {failure}\n")
        response.error(500)


def await_drain(response: Response, wake: Callable[[], object]) -> None:
    """Have *wake* called once when the client has caught up, or is gone."""
    response.on_close = wake  # whichever comes first
    response.on_drain(wake)


class _NoWork:
    """Stands for a wait that needs no calling off."""

    def cancel(self) -> None:
        """Nothing is under way."""


NO_WORK = _NoWork()
