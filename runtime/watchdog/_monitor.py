"""The monitor: forks the server, watches it, takes traces, starts it again within limits.  Manual: Watchdog."""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from runtime import crash, log, signals
from runtime.conf import Conf, ConfError, parse_boolean, parse_integer

from . import _hearts, _report
from ._death import die_with_parent, with_parent
from ._managed import Application, Supervisor, applications, serve_pipes, signal_group
from ._managed import check as check_applications

EXIT_NO_RESTART = 2
"""An exit status with which the server asks not to be started again."""
EXIT_GAVE_UP = 255
"""Exit status of a monitor whose server failed too often."""

LOOK = 0.1  # seconds between looks at the hearts
STOP_TIMEOUT = 20.0  # seconds that the server has to end after a signal
MANAGED_TIMEOUT = 2.0
ABORT_TIMEOUT = 5.0  # seconds for stacks to be written
GLIDER_TIMEOUT = 60.0
REPORT_TIMEOUT = 3.0  # seconds for the server to say what it is doing
FORK_PAUSE = 1.0  # seconds until a server is started that could not be: no process or no memory was left
LONGEST_TRACE = 16 << 20  # bytes


_starts = 0


@dataclass(frozen=True)
class Plan:
    """What ``<watchdog>`` says."""

    tracedir: str | None = None
    glider: str | None = None
    save_trace_output: bool = True
    retries: int = 5
    span: float = 60.0
    managed: tuple[Application, ...] = ()


def plan(configuration: Conf, *, glider: str | None = None, user: str | None = None, group: str | None = None) -> Plan:
    """The watchdog of *configuration*; *glider* overrides its.

    Complains (:meth:`runtime.conf.Conf.complain`) of what makes no sense."""
    root = configuration.root_name
    section = configuration.get_section(f"/{root}/watchdog|/{root}/include/watchdog")
    found = {} if section is None else {str(key): str(value) for key, value in section.attrib.items()}

    def wrong(text: str) -> None:
        configuration.complain(ConfError(text) if section is None else configuration.error(text, section))

    def number(name: str, default: int) -> int:
        try:
            value = parse_integer(found[name]) if name in found else default
            if value < 0:
                raise ValueError("expected no negative number")
        except ValueError as mistake:
            wrong(f"<watchdog> {name}='{found[name]}': {mistake}")
            return default
        return value

    try:
        save = parse_boolean(found.get("save_trace_output", "true"))
    except ValueError as mistake:
        wrong(f"<watchdog> save_trace_output='{found['save_trace_output']}': {mistake}")
        save = True
    tracedir = found.get("tracedir") or None
    if tracedir is not None:
        tracedir = configuration.place(tracedir)
        try:
            os.makedirs(tracedir, exist_ok=True)  # noqa: PTH103 - names it as it was given
            if not os.access(tracedir, os.W_OK | os.X_OK):
                wrong(f"<watchdog> tracedir='{tracedir}': nothing can be written there")
        except OSError as refused:
            wrong(f"<watchdog> tracedir='{tracedir}': {refused.strerror}")
    return Plan(
        tracedir,
        configuration.found(glider or found.get("glider") or "") or None,
        save,
        number("retries", 5),
        float(number("span", 60)),
        tuple(applications(configuration, user, group)),
    )


def check(configuration: Conf) -> None:
    """Look for what is wrong with the watchdog of *configuration* and its applications.

    Complains (:meth:`runtime.conf.Conf.complain`)."""
    glider = plan(configuration).glider
    section = configuration.get_section(f"/{configuration.root_name}/watchdog")
    if glider is not None and shutil.which(glider) is None and section is not None:
        what = f"<watchdog> glider='{glider}': there is no such program"
        configuration.complain(configuration.error(what, section))
    check_applications(configuration)


def number_of_starts() -> int:
    """How often the server was started before: 0 in the first.  Manual: ``mtev_watchdog_number_of_starts``."""
    return _starts


Step = Generator[None, None, None]
"""Yields while there is something to wait for."""
Course = Generator[None, None, int | None]
"""The same; returns the exit status of the monitor, if it is to end."""


class Monitor:
    """Runs *serve* in a child process, again and again.  Manual: ``mtev_watchdog_start_child``.

    Whatever takes time - a glider, a server that writes its stacks - is a course: a generator that yields while there
    is something to wait for, and is asked again at the next look.  So signals and applications are never kept waiting.
    """

    def __init__(self, name: str, plan: Plan, serve: Callable[[], int], up: Callable[[], object] = int) -> None:
        """*serve* is called with signals blocked (:func:`runtime.signals.unblock`); *up*, maybe more than once, when
        the server has come up."""
        self._up = up
        self._name = name
        self._plan = plan
        self._serve = serve
        self._selector = selectors.DefaultSelector()
        self._supervisors = [Supervisor(each, self._selector) for each in plan.managed]
        self._child = 0  # 0 also between one that ended and the next
        self._stacks: IO[bytes] | None = None
        self._begun: list[float] = []
        self._stopping = 0
        self._deadline = float("inf")
        self._course: Course | None = None
        self._looked_at = False  # whether the glider has been run on this server
        self._is_starved = False  # whether that it cannot be started was told

    @property
    def told_to_end(self) -> int:
        """The number of the signal that told it to; 0 for none."""
        return self._stopping

    def run(self) -> int:
        """Keep the server running until it ends for good; returns the exit status."""
        _hearts.prefork_init()
        lifeline = os.pipe()
        final = self._look(time.monotonic(), lifeline)
        while final is None:
            try:
                final = self._turn(lifeline)
            except Exception:  # for want of memory, say: who watches over others must not end of it
                if self._stopping:
                    raise
                log.error.log(f"[WATCHDOG] the monitor failed and goes on\n{traceback.format_exc()}")
                time.sleep(LOOK)
        for each in self._supervisors:
            each.stop(MANAGED_TIMEOUT)
        return final

    def _turn(self, lifeline: tuple[int, int]) -> int | None:
        """See to everybody once; returns the exit status when the server ended for good."""
        now = time.monotonic()
        if not self._stopping:
            for each in self._supervisors:
                each.tend(now)
        serve_pipes(self._selector, LOOK)
        log.follow_all()
        for number in signals.pending():
            self._signalled(number)
        return self._look(time.monotonic(), lifeline)

    def _look(self, now: float, lifeline: tuple[int, int]) -> int | None:
        """See to the server, or to what became of it; returns the exit status when it ended for good."""
        if _hearts.is_up():
            self._up()
        code = _ended(self._child) if self._child else None
        if code is not None:
            pid, self._child = self._child, 0
            self._keep_stacks(pid)
            if self._course is not None:
                self._course.close()
            self._course = self._burial(pid, code)
        elif self._child and self._course is None:
            self._course = self._crashed() or (self._stuck(now) if self._stopping else self._silent(now))
        if self._course is not None:
            try:
                next(self._course)
                return None
            except StopIteration as over:
                self._course = None
                if over.value is not None:
                    return int(over.value)
        if not self._child:
            try:
                self._fork(lifeline)
            except OSError as failure:
                self._course = self._starved(failure)
        return None

    def _starved(self, failure: OSError) -> Course:
        """The course of a server that cannot be started now."""
        if not self._is_starved:
            self._is_starved = True
            log.error.log(f"[WATCHDOG] {self._name} cannot be started: {failure.strerror}; it is tried again.\n")
        yield from self._until(lambda: bool(self._stopping), FORK_PAUSE)
        return self._status()

    def _fork(self, lifeline: tuple[int, int]) -> None:
        global _starts
        _hearts.prefork_init()
        self._stacks = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - lives as long as the child
        parent = os.getpid()
        with signals.blocked():
            pid = os.fork()
            if pid == 0:
                self._be_child(parent, lifeline)
        self._looked_at = self._is_starved = False
        _starts += 1
        self._begun.append(time.monotonic())
        self._child = pid

    def _be_child(self, parent: int, lifeline: tuple[int, int]) -> NoReturn:
        status = 1
        try:
            os.close(lifeline[1])
            die_with_parent(parent, lifeline[0])
            assert self._stacks is not None
            crash.hold(self._stacks.fileno(), parent)
            _report.leave_in(self._stacks.fileno())
            self._selector.close()
            status = self._serve()
        finally:
            os._exit(status)

    def _signalled(self, number: int) -> None:
        if number in signals.TERMINATING:
            if not self._stopping:
                self._deadline = time.monotonic() + STOP_TIMEOUT
            self._stopping = number
        if self._child:
            os.kill(self._child, number)

    def _stuck(self, now: float) -> Course | None:
        """What is to be done about a server that was told to end."""
        if now <= self._deadline:
            return None
        log.error.log(f"[WATCHDOG] {self._name} {self._child} does not stop and is killed.\n")
        return self._put_down()

    def _silent(self, now: float) -> Course | None:
        """What is to be done about a heart that fell silent."""
        silent = _hearts.silent(now)
        if silent is None:
            return None
        heart, seconds = silent
        log.error.log(f"[WATCHDOG] {self._name} {self._child}: no heartbeat of {heart} for {seconds:.1f} s.\n")
        return self._hung()

    def _crashed(self) -> Course | None:
        """What is to be done about a server that crashed, if it did: it halted once its stacks were written."""
        thread = crash.halted_thread(self._child) if crash.is_crash(self._written()) else None
        if thread is None:
            return None
        log.error.log(f"[WATCHDOG] {self._name} {self._child} crashed in thread {thread} and is looked at.\n")
        return self._held(thread)

    def _held(self, thread: int) -> Step:
        """The course of a server that crashed and is held as it was: whoever is to look at it, then its end."""
        crash.freeze(self._child)
        yield from self._glide(self._child, "crash")
        program = crash.program()
        if program is not None:
            yield from self._have_looked(program, crash.arguments(self._child, thread))
        yield from self._let_end(crash.signal_of(self._written()))

    def _let_end(self, number: int) -> Step:
        """Let a server that halted end by the signal it halted in, or by force."""
        crash.let_end(self._child, number)
        yield from self._until(lambda: False, ABORT_TIMEOUT)
        os.kill(self._child, signal.SIGKILL)
        yield from self._until(lambda: False, float("inf"))  # its end is the end of this

    def _hung(self) -> Step:
        """The course of a server that hangs: its own report, the glider's, the stacks, the end."""
        yield from self._report()
        yield from self._glide(self._child, "watchdog")
        yield from self._put_down()

    def _report(self) -> Step:
        """Have the server say what it is doing, which it can if only its loops hang."""
        _hearts.want_report()
        os.kill(self._child, signal.SIGUSR2)
        yield from self._until(_hearts.is_report_done, REPORT_TIMEOUT)

    def _put_down(self) -> Step:
        os.kill(self._child, signal.SIGABRT)  # its handler writes the stacks of all threads, and halts
        yield from self._until(lambda: crash.halted_thread(self._child) is not None, ABORT_TIMEOUT)
        yield from self._let_end(signal.SIGABRT)

    def _burial(self, pid: int, code: int) -> Course:
        """The course after the end of server *pid*, which has its place among the processes until that is over."""
        try:
            return (yield from self._aftermath(pid, code))
        finally:
            os.waitpid(pid, 0)

    def _aftermath(self, pid: int, code: int) -> Course:
        """The course after the end of server *pid*: the exit status for the monitor, or None to start it again."""
        if self._stopping and code >= 0:
            return code
        if self._stopping:
            return self._status() if -code == self._stopping else 128 - code
        if code in (0, EXIT_NO_RESTART):
            return code
        if -code in signals.TERMINATING:
            log.error.log(f"[WATCHDOG] {self._name} {pid} was told to end and is not restarted.\n")
            return 128 - code
        if code > 0 and not _hearts.is_up():
            log.error.log(f"[WATCHDOG] {self._name} {pid} ended with status {code} before it was up: no restart.\n")
            return code
        if code < 0 and not self._looked_at:  # too late for its memory: it had no say in its end
            yield from self._glide(pid, "unknown" if -code == signal.SIGKILL else "crash")
            if self._status() is not None:
                return self._status()
        how = signal.Signals(-code).name if code < 0 else f"status {code}"
        now = time.monotonic()
        recent = [each for each in self._begun if now - each < self._plan.span]
        self._begun = recent
        if len(recent) > self._plan.retries:
            log.error.log(
                f"[WATCHDOG] {self._name} {pid} ended with {how}: {self._plan.retries} restarts within "
                f"{self._plan.span:g} s are enough.\n"
            )
            return EXIT_GAVE_UP
        log.error.log(f"[WATCHDOG] {self._name} {pid} ended with {how} and is restarted.\n")
        return None

    def _status(self) -> int | None:
        """The exit status for the signal by which the monitor was told to end, if it was."""
        return signals.TERMINATING[signal.Signals(self._stopping)] if self._stopping else None

    def _until(self, over: Callable[[], bool], timeout: float) -> Step:
        """Wait until *over*, for *timeout* seconds at most."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and not over():
            yield

    def _glide(self, pid: int, reason: str) -> Step:
        """Run the glider on the server; what it prints is kept as the trace."""
        self._looked_at = True
        if self._plan.glider:
            printed = yield from self._have_looked(self._plan.glider, [str(pid), reason])
            if printed and self._tracedir:
                self._trace(self._tracedir, pid, printed)

    def _have_looked(self, program: str, arguments: list[str]) -> Generator[None, None, bytes]:
        """Run *program*; returns what it printed, if that is to be kept.  It ends early when the monitor is to."""
        with contextlib.ExitStack() as held:
            try:
                output = held.enter_context(tempfile.TemporaryFile())
                glider = subprocess.Popen(
                    [program, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output if self._tracedir else subprocess.DEVNULL,
                    process_group=0,
                    preexec_fn=with_parent(os.getpid()),  # the monitor has one thread
                )
            except (OSError, subprocess.SubprocessError) as failure:
                log.error.log(f"[WATCHDOG] glider {program}: {failure}\n")
                return b""
            try:
                yield from self._until(lambda: glider.poll() is not None or bool(self._stopping), GLIDER_TIMEOUT)
            finally:
                if glider.poll() is None:
                    log.error.log(f"[WATCHDOG] glider {program} is still running and is ended.\n")
                    signal_group(glider.pid, signal.SIGKILL)
                    glider.wait()
            output.seek(0)
            return output.read(LONGEST_TRACE)

    @property
    def _tracedir(self) -> str | None:
        """Where traces go, if they are saved."""
        return self._plan.tracedir if self._plan.save_trace_output else None

    def _written(self) -> bytes:
        """What the server wrote about its stacks so far."""
        if self._stacks is None:
            return b""
        return os.pread(self._stacks.fileno(), LONGEST_TRACE, 0)

    def _keep_stacks(self, pid: int) -> None:
        """Keep what the server wrote about its stacks: its report, and what it wrote when it crashed or was aborted."""
        written = self._written()
        if self._stacks is not None:
            self._stacks.close()
            self._stacks = None
        if written and self._tracedir:
            self._trace(self._tracedir, pid, written)
        elif written:
            log.error.log(written)

    def _trace(self, directory: str, pid: int, text: bytes) -> None:
        path = Path(directory) / f"{self._name}.{pid}.trc"
        try:
            with path.open("ab") as file:
                file.write(text)
        except OSError as failure:
            log.error.log(f"[WATCHDOG] trace {path}: {failure.strerror}\n")
            return
        log.error.log(f"[WATCHDOG] trace in {path}\n")


def _ended(pid: int) -> int | None:
    """How the child *pid* ended, as :func:`os.waitstatus_to_exitcode` has it, or None; it keeps its place."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
