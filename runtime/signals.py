"""The signals of a server, from the first lines of its program to its end.  Manual: mtev_main.

While it starts, those that end it do so at once, as an exception on the main thread, and the others are kept.  Once it
is ready all of them are kept for the main thread, which waits for them; while it stops none of them does any harm.
Programs come here first, so nothing slow is imported.
"""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATING = {signal.SIGTERM: 0, signal.SIGINT: 130, signal.SIGQUIT: 0}
"""Those that end the process, and its exit status then."""

HANDLED = (*TERMINATING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Terminated(BaseException):
    """The process was told to end while it started: ``number``, the signal; ``status``, the exit status for it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"received {signal.Signals(number).name.lower()} while starting")
        self.number = number
        self.status = TERMINATING[signal.Signals(number)]


_kept: list[int] = []  # as the kernel keeps them: each once, in the order in which they came
_is_keeping = False
_is_raising = False
_raised = 0  # the number of the one that was
_bell: list[int] = []  # the ends of the pipe by which one wakes who waits for it


@contextmanager
def kept() -> Iterator[None]:
    """While the block runs, signals are what this module is about; on the main thread.

    The process starts: :func:`hold` tells that this is over.  A block within such a block changes nothing.  Signals
    that whoever started the process has blocked are let through."""
    global _is_keeping
    if _is_keeping:
        yield
        return
    before = {each: signal.getsignal(each) for each in HANDLED}
    tell_unraisable = sys.unraisablehook

    def unraisable(told: "sys.UnraisableHookArgs") -> None:
        """It came in the middle of something that lets no exception through, as the end of an object does."""
        global _is_raising
        if isinstance(told.exc_value, Terminated):
            _is_raising = True  # by the next; this one is kept
        else:
            tell_unraisable(told)

    _is_keeping = True
    sys.unraisablehook = unraisable
    try:
        begin()
        for each in HANDLED:
            signal.signal(each, _came)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        with unmistaken():
            yield
    finally:
        _is_keeping = False
        sys.unraisablehook = tell_unraisable
        for each, handler in before.items():
            if handler is not None:  # else it is none of Python's
                signal.signal(each, handler)


def begin() -> None:
    """The process starts; what came before was for another."""
    global _is_raising, _raised
    _is_raising, _raised = True, 0
    _kept.clear()


@contextmanager
def unmistaken() -> Iterator[None]:
    """Have :exc:`Terminated` leave the block, where some code has made another exception of it, as compiled modules do
    whose import it ends."""
    try:
        yield
    except Exception:
        if _raised:
            raise Terminated(_raised) from None
        raise


def hold() -> None:
    """From now on those that end the process are kept, too."""
    global _is_raising
    _is_raising = False


@contextmanager
def raised() -> Iterator[None]:
    """While the block runs, which may take its time, those that end the process are raised, as while it starts; one
    that was kept before, at once."""
    global _is_raising
    _is_raising = True
    try:
        for number in _kept:
            _raise(number)
        yield
    finally:
        _is_raising = False


def prepare() -> None:
    """Open what :func:`wait` needs, while there are descriptors; it stays open."""
    if not _bell:
        _bell.extend(os.pipe())
        for end in _bell:
            os.set_blocking(end, False)


def wait(every: float, do: Callable[[], None]) -> int:
    """The number of the next signal, on the main thread.  Until it comes *do* is called every so many seconds."""
    prepare()
    reader, writer = _bell
    poller = select.poll()
    poller.register(reader, select.POLLIN)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # whichever thread the kernel gives it to
    try:
        while not _kept:
            if poller.poll(every * 1000):
                os.read(reader, 256)
            else:
                do()
        return _kept.pop(0)
    finally:
        signal.set_wakeup_fd(before)


def pending() -> list[int]:
    """The numbers of the signals that were kept and not yet asked for."""
    found = list(_kept)
    del _kept[: len(found)]
    return found


@contextmanager
def blocked() -> Iterator[None]:
    """While the block runs, which forks, no signal comes: the child is told its own once it calls :func:`unblock`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock() -> None:
    """In a child: it starts, and its signals come."""
    begin()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def _came(number: int, _frame: FrameType | None) -> None:
    if number not in _kept:
        _kept.append(number)  # even if it is raised, as some code lets nothing through
    _raise(number)


def _raise(number: int) -> None:
    global _is_raising, _raised
    if _is_raising and number in TERMINATING:
        _is_raising, _raised = False, number  # the second does not disturb what the first began
        raise Terminated(number)
