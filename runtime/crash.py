"""A process that crashes is held as it is until somebody has looked at it.  Manual: Watchdog; MTEV_DIAGNOSE_CRASH.

What can be done in a signal handler is little, and of what can be written without compiling nothing may run there: no
Python, no Lua.  But a handler may be a function of the C library.  On a signal that says the process crashed the
interpreter's own handler writes the stacks of all threads, then hands over to the handler before it, which here is
``pause``: the thread halts inside the signal, its registers and memory as they were, until the process is killed.  The
signal's disposition is the default one by then, so the same signal, sent again, ends the process as if nothing had been
in between, core dump included.

Whoever looks, the monitor or :func:`diagnose`, then stops all other threads too, and lets them go in the end.  A tracer
would not need the crash's help; but only one may trace a process: with it there, no debugger could attach.
"""

import ctypes
import faulthandler
import functools
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)

ALTSTACK: Final = 64 << 10  # bytes
TIMEOUT: Final = 60.0  # seconds that a program has to look at a process
HALT_TIMEOUT: Final = 10.0  # seconds that a process that crashes has to write its stacks and to halt
KILL_TIMEOUT: Final = 30.0  # seconds that one has to end by its signal, a core dump among them
LOOK: Final = 0.01  # seconds between looks

_PR_SET_PTRACER = 0x59616D61
_SS_DISABLE = 2
_LIBRARYS = 0b111 << 31  # signals 32 to 34, which C libraries keep for themselves

_rooms = threading.local()

_SA_ONSTACK, _SA_NODEFER, _SA_RESETHAND = 0x08000000, 0x40000000, 0x80000000
_WORDS = 1024 // 64  # of a signal set in the C library's sigaction, as far as Linux goes


class _Action(ctypes.Structure):
    """``struct sigaction`` of Linux, the same in every C library there is for it."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_uint64 * _WORDS),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def wanted() -> bool:
    """Whether crashes are to be handled: ``MTEV_DIAGNOSE_CRASH`` is not 0."""
    return os.environ.get("MTEV_DIAGNOSE_CRASH", "") != "0"


def program() -> str | None:
    """The program to run on a process that crashed: ``MTEV_DIAGNOSE_CRASH`` where it is a path."""
    value = os.environ.get("MTEV_DIAGNOSE_CRASH", "")
    return None if value in ("", "0", "1") else value


def hold(stacks: int, looker: int) -> None:
    """Have this process write its stacks to the descriptor *stacks*, and halt, when it crashes, for process *looker*.

    Processes it forks end as they would otherwise: nobody waits for them."""
    if not wanted():
        return
    faulthandler.disable()  # it hands over to the handlers it found
    library = _library()
    if sys.platform == "linux":  # whoever holds this process, and what that runs, may look into it
        library.prctl(_PR_SET_PTRACER, ctypes.c_ulong(looker), 0, 0, 0)
    for number in SIGNALS:
        _halt_on(library, number)
    faulthandler.enable(stacks)
    os.register_at_fork(after_in_child=_let_go)


def watch() -> None:
    """For a process that nobody monitors, before it has threads: when it crashes it writes its stacks to descriptor 2.

    Where ``MTEV_DIAGNOSE_CRASH`` is a path, that program is run on it first."""
    if not wanted():
        return
    named = program()
    if named is not None:
        diagnose(named)
    else:
        faulthandler.enable(2)


def prepare_thread() -> None:
    """Give this thread a stack for signal handlers, so that it can be held when its own has overflown."""
    if sys.platform != "linux":
        return
    library = _library()
    before = _Stack()
    if library.sigaltstack(None, ctypes.byref(before)) or not before.flags & _SS_DISABLE:
        return  # it has one
    room = ctypes.create_string_buffer(altstack_size())
    stack = _Stack(ctypes.addressof(room), 0, len(room))
    if not library.sigaltstack(ctypes.byref(stack), None):
        _rooms.room = room  # for as long as the thread lives


def altstack_size() -> int:
    """Bytes: ``MTEV_ALTSTACK_SIZE`` where that is a number that suffices."""
    text = os.environ.get("MTEV_ALTSTACK_SIZE", "").strip()
    return max(int(text), ALTSTACK) if text.isascii() and text.isdecimal() else ALTSTACK


def diagnose(program: str) -> None:
    """Have *program* run on this process when it crashes, with the ids of the thread and the process.

    A process beside this one waits for that; it must be forked before there are threads.  When the program is done, or
    :data:`TIMEOUT` over, this process ends by its signal."""
    reader, writer = os.pipe()
    here = os.getpid()
    looker = os.fork()
    if not looker:
        os.close(writer)
        _stand_by(here, reader, program)
    os.close(reader)
    hold(writer, looker)


def arguments(pid: int, thread: int) -> list[str]:
    """What a program that looks at a process is called with."""
    return [str(thread), str(pid)] if sys.platform == "linux" else [str(pid)]


def freeze(pid: int) -> None:
    """Have all threads of a process that halted stand still."""
    os.kill(pid, signal.SIGSTOP)


def let_end(pid: int, number: int) -> None:
    """Let a process that halted end by its signal."""
    os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)


def _stand_by(pid: int, reader: int, program: str) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when the other does
    try:
        text = os.read(reader, 1 << 16)
        if text:  # it crashes
            thread = None
            for _ in _looks(HALT_TIMEOUT):
                thread = halted_thread(pid)
                text += _waiting(reader)  # behind that look: the last of it comes just before it halts
                if thread is not None or _is_gone(pid):
                    break
            os.write(2, text)
            if thread is not None:
                freeze(pid)
                _run([program, *arguments(pid, thread)])
                let_end(pid, signal_of(text))
            if not any(_is_gone(pid) for _ in _looks(KILL_TIMEOUT)):
                os.kill(pid, signal.SIGKILL)
    finally:
        os._exit(0)


def _waiting(reader: int) -> bytes:
    """What can be read of a pipe without waiting."""
    text = b""
    while select.select([reader], [], [], 0)[0]:
        more = os.read(reader, 1 << 16)
        if not more:
            break
        text += more
    return text


def _run(command: list[str]) -> None:
    import subprocess

    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.SubprocessError) as failure:
        os.write(2, f"MTEV_DIAGNOSE_CRASH {command[0]}: {failure}\n".encode())


def _looks(timeout: float) -> Iterator[None]:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        yield
        time.sleep(LOOK)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return os.getppid() != pid  # we were its child


def halted_thread(pid: int) -> int | None:
    """The thread of *pid* that halted in a crash, or None; on systems that do not tell, the process itself.

    It halts once its stacks are written."""
    if sys.platform != "linux":
        return pid
    tasks = Path(f"/proc/{pid}/task")
    try:
        threads = sorted(int(each.name) for each in tasks.iterdir())
    except OSError:
        return None
    for thread in threads:
        try:
            status = (tasks / str(thread) / "status").read_text()
        except OSError:
            continue
        blocked = int(status.partition("\nSigBlk:\t")[2].partition("\n")[0] or "0", 16)
        if blocked | _LIBRARYS == _blocked() | _LIBRARYS:
            return thread
    return None


def is_crash(text: bytes) -> bool:
    """Whether *text* has the stacks of a crash in it."""
    return _FATAL in text


def signal_of(text: bytes) -> int:
    """The signal of a crash whose stacks are *text*."""
    for name, number in _NAMES.items():
        if _FATAL + name in text:
            return number
    return signal.SIGKILL


_FATAL = b"Fatal Python error: "
_NAMES = {
    b"Segmentation fault": signal.SIGSEGV,
    b"Aborted": signal.SIGABRT,
    b"Bus error": signal.SIGBUS,
    b"Illegal instruction": signal.SIGILL,
    b"Floating": signal.SIGFPE,
}


def _blocked() -> int:
    """What a thread that halted blocks, as the system shows it: everything but what ends it."""
    mask = (1 << 64) - 1
    for number in (*SIGNALS, signal.SIGKILL, signal.SIGSTOP):
        mask &= ~(1 << (number - 1))
    return mask


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _halt_on(library: ctypes.CDLL, number: int) -> None:
    pause = ctypes.cast(library.pause, ctypes.c_void_p)
    if sys.platform == "linux":
        action = _Action(handler=pause.value, flags=ctypes.c_int(_SA_ONSTACK | _SA_NODEFER | _SA_RESETHAND).value)
        action.mask[0] = _blocked()
        library.sigaction(number, ctypes.byref(action), None)
    else:
        library.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        library.signal(number, pause)


def _let_go() -> None:
    faulthandler.disable()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
