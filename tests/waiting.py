"""Waiting for what is about to be."""

import socket
import time
from collections.abc import Callable
from typing import Final, TypeVar

TIMEOUT: Final = 60.0
"""Seconds, far beyond what anything takes on a busy machine: who waits so long has found a fault."""

_T = TypeVar("_T")


def until(
    holds: Callable[[], _T], tell: Callable[[], object] = lambda: "it never came about", timeout: float = TIMEOUT
) -> _T:
    """What *holds* returns, once that is true.  After *timeout* seconds it fails with what *tell* returns.

    It is asked ever more seldom, for what takes long is not to be kept from its work.  *holds* may assert that what is
    awaited can still come."""
    deadline = time.monotonic() + timeout
    pause = 0.005
    while not (found := holds()):
        assert time.monotonic() < deadline, tell()
        time.sleep(pause)
        pause = min(1.4 * pause, 0.1)
    return found


def listens(port: int, address: str = "127.0.0.1") -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((address, port), 5).close()
    except ConnectionError:
        return False
    return True
