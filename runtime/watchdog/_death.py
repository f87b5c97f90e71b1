"""Processes that end with their parent, however that ends."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
EXIT_ORPHANED = 3


def with_parent(parent: int) -> Callable[[], None] | None:
    """For a child of *parent* to call before it runs another program: it is killed when *parent* ends.

    None where the system knows no such thing."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before that
            os.kill(os.getpid(), signal.SIGKILL)

    return bind


_bind: Callable[[], None] | None = None


def bind_again() -> None:
    """To be called when this process has become another user's: the system has forgotten the bond then."""
    if _bind is not None:
        _bind()


def die_with_parent(parent: int, lifeline: int) -> None:
    """Have this process end with *parent*, which holds the other end of the pipe *lifeline*."""
    global _bind
    _bind = with_parent(parent)
    if _bind is not None:
        _bind()
        return

    def wait() -> None:
        os.read(lifeline, 1)
        os._exit(EXIT_ORPHANED)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
