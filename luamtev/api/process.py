"""Child processes for Lua: started here, waited for by the loop, talked to through pipes that Lua reads and writes.

The end of a child shows on a pidfd that the hub watches, or, where there is none, to a thread that waits for it.
Either way a child is reaped as soon as it ends, whether anybody asks or not.  SIGCHLD is left alone.
Manual: mtev.spawn, mtev.process.
"""

import errno
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import Handles

if TYPE_CHECKING:
    import subprocess

    from luamtev.port import Port

_NUMBERS = {"ETIMEDOUT": errno.ETIMEDOUT, "ECHILD": errno.ECHILD} | {
    name: int(getattr(signal, name)) for name in ("SIGTERM", "SIGKILL", "SIGSTOP", "SIGCONT")
}


class Child:
    """A process that was started; ``status`` is its wait status once it has ended."""

    def __init__(self, state: "Port", process: "subprocess.Popen[bytes]", running: "set[Child]") -> None:
        self.pid = process.pid
        self.status: int | None = None
        self._state = state
        self._process = process
        self._running = running
        self._tickets: set[int] = set()
        self._watcher: Any = None
        self._pidfd = -1
        running.add(self)
        self._watch()

    def wait(self, ticket: int) -> int | None:
        """The wait status; or None, and *ticket* is woken with it."""
        self._reap()
        if self.status is None:
            self._tickets.add(ticket)
            self._state.tickets[ticket] = _Waiter(self, ticket)
        return self.status

    def poll(self) -> int | None:
        """The wait status, None while the process runs."""
        self._reap()
        return self.status

    def leave(self, ticket: int) -> None:
        """Nobody waits behind *ticket* any longer."""
        self._tickets.discard(ticket)

    def kill(self, number: int) -> int | None:
        """Send a signal; the error's number when that failed."""
        self._reap()  # else a number that was given out again might be hit
        return errno.ESRCH if self.status is not None else _send(os.kill, self.pid, number)

    def kill_group(self, number: int) -> int | None:
        """Send a signal to the process and its descendants; the error's number when that failed."""
        return _send(os.killpg, self.pid, number)

    def discard(self) -> None:
        """Nobody knows the process any longer: end it.  The hub, or a thread, reaps it."""
        self.kill(signal.SIGKILL)

    def end(self) -> None:
        """The same when the process is about to go.  From any thread."""
        if self.status is None:
            _send(os.kill, self.pid, signal.SIGKILL)

    def close(self) -> None:
        """The same when the hub is about to go too."""
        self.discard()
        self._reap()
        if self.status is None:
            self._unwatch()
            threading.Thread(target=self._process.wait, name=f"reaper/{self.pid}", daemon=True).start()

    def _watch(self) -> None:
        if hasattr(os, "pidfd_open"):
            try:
                self._pidfd = os.pidfd_open(self.pid)
            except OSError:  # an old kernel, or no descriptor left
                pass
        if self._pidfd < 0:
            threading.Thread(target=self._wait_blocking, name=f"child/{self.pid}", daemon=True).start()
            return
        self._watcher = self._state.thread.watch(self._pidfd, 1, self._reap)

    def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
            os.close(self._pidfd)

    def _wait_blocking(self) -> None:
        # WNOWAIT leaves it to _reap, on the loop's thread, so that no signal goes to a number given out again.
        try:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return
        self._state.thread.post(self._reap)

    def _reap(self) -> None:
        if self.status is not None:
            return
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody else waited for it, and its status is lost
            pid, status = self.pid, 127 << 8
        if pid == 0:
            return
        self._unwatch()
        self.status = status
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._running.discard(self)
        for ticket in self._tickets:
            self._state.ticket_done(ticket, status)
        self._tickets.clear()


class _Waiter:
    """A coroutine that waits for a child."""

    def __init__(self, child: Child, ticket: int) -> None:
        self._child = child
        self._ticket = ticket

    def cancel(self) -> None:
        """It waits no longer."""
        self._child.leave(self._ticket)


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/process.lua`` builds on."""
    known: Handles[Child] = Handles()
    running: set[Child] = set()  # known to Lua or not

    def close() -> None:
        while running:
            running.pop().close()

    def end() -> None:
        for child in list(running):
            child.end()

    state.on_close(close)
    state.on_end(end)

    def process_spawn(path: bytes, argv: bytes, env: bytes, directory: bytes | None) -> tuple[Any, ...]:
        try:
            process, pipes = spawn(path, _unpack(argv), _unpack(env), directory)
        except OSError as failure:
            return None, failure.errno or errno.EINVAL, failure.filename
        child = Child(state, process, running)
        return known.add(child), child.pid, *pipes

    def process_release(handle: int) -> None:
        child = known.pop(handle)
        if child is not None and child.status is None:
            child.discard()

    return {
        "process_constants": lambda: _NUMBERS,
        "process_spawn": process_spawn,
        "process_release": process_release,
        "process_wait": lambda handle, ticket: known[handle].wait(int(ticket)),
        "process_poll": lambda handle: known[handle].poll(),
        "process_kill": lambda handle, number: known[handle].kill(int(number)),
        "process_kill_group": lambda handle, number: known[handle].kill_group(int(number)),
    }


def spawn(
    path: bytes, argv: list[bytes], env: list[bytes], directory: bytes | None
) -> tuple["subprocess.Popen[bytes]", tuple[int, int, int]]:
    """Start *path*, searched on this process's PATH, in a process group of its own and in *directory*.

    A relative *path* is one from where this process is, whatever the directory.
    Returns the process and our ends of its standard input, output and error, which close on exec.
    Raises :exc:`OSError` when it cannot be started: its file name is the program or the directory that is to blame."""
    import subprocess

    program = _find(path)
    if directory is not None:
        program = os.path.join(os.getcwdb(), program)  # noqa: PTH118, PTH109 -- bytes
    ends: list[int] = []
    try:
        for _ in range(3):
            ends += os.pipe()
        child_in, our_in, our_out, child_out, our_err, child_err = ends
        process = subprocess.Popen(
            argv,
            executable=program,
            env=dict(_pair(each) for each in env),
            cwd=directory,
            stdin=child_in,
            stdout=child_out,
            stderr=child_err,
            process_group=0,
        )
    except BaseException:
        for each in ends:
            os.close(each)
        raise
    for each in (child_in, child_out, child_err):
        os.close(each)
    return process, (our_in, our_out, our_err)


def _find(path: bytes) -> bytes:
    if b"/" in path:
        return path
    import shutil

    found = shutil.which(os.fsdecode(path))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return os.fsencode(found)


def _pair(entry: bytes) -> tuple[bytes, bytes]:
    key, _, value = entry.partition(b"=")
    return key, value


def _unpack(packed: bytes) -> list[bytes]:
    """The texts in *packed*, each ended by a zero byte."""
    return packed.split(b"\0")[:-1]


def _send(kill: Callable[[int, int], None], target: int, number: int) -> int | None:
    try:
        kill(target, number)
    except OverflowError:
        return errno.EINVAL
    except OSError as failure:
        return failure.errno
    return None
