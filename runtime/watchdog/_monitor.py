"""The monitor: forks the server, watches it, takes traces, starts it again within limits.  Manual: Watchdog."""

import faulthandler
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from runtime import log
from runtime.conf import Conf, ConfError, parse_boolean, parse_integer

from . import _hearts
from ._death import die_with_parent
from ._managed import Application, Keeper, applications, serve_pipes

EXIT_NO_RESTART = 2
"""An exit status with which the server asks not to be started again."""
EXIT_GAVE_UP = 255
"""Exit status of a monitor whose server failed too often."""

LOOK = 0.1  # seconds between looks at the hearts
STOP_PATIENCE = 20.0  # seconds that the server has to end after a signal
MANAGED_PATIENCE = 2.0
ABORT_PATIENCE = 2.0  # seconds for stacks to be written
GLIDER_PATIENCE = 60.0

_ENDING = {signal.SIGTERM: 0, signal.SIGINT: 130}

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
    """The watchdog of *configuration*; *glider* overrides its.  Raises :exc:`runtime.conf.ConfError`."""
    root = configuration.root_name
    section = configuration.get_section(f"/{root}/watchdog|/{root}/include/watchdog")
    found = {} if section is None else {str(key): str(value) for key, value in section.attrib.items()}

    def wrong(text: str) -> ConfError:
        return ConfError(text) if section is None else configuration.error(text, section)

    def number(name: str, default: int) -> int:
        try:
            value = parse_integer(found[name]) if name in found else default
            if value < 0:
                raise ValueError("expected no negative number")
        except ValueError as mistake:
            raise wrong(f"<watchdog> {name}='{found[name]}': {mistake}") from None
        return value

    try:
        save = parse_boolean(found.get("save_trace_output", "true"))
    except ValueError as mistake:
        raise wrong(f"<watchdog> save_trace_output: {mistake}") from None
    return Plan(
        found.get("tracedir"),
        glider or found.get("glider"),
        save,
        number("retries", 5),
        float(number("span", 60)),
        tuple(applications(configuration, user, group)),
    )


def number_of_starts() -> int:
    """How often the server was started before: 0 in the first.  Manual: ``mtev_watchdog_number_of_starts``."""
    return _starts


class Monitor:
    """Runs *serve* in a child process, again and again.  Manual: ``mtev_watchdog_start_child``."""

    def __init__(self, name: str, plan: Plan, serve: Callable[[], int]) -> None:
        self._name = name
        self._plan = plan
        self._serve = serve
        self._selector = selectors.DefaultSelector()
        self._keepers = [Keeper(each, self._selector) for each in plan.managed]
        self._child = 0
        self._stacks: IO[bytes] | None = None
        self._begun: list[float] = []
        self._stopping = 0
        self._deadline = float("inf")

    def run(self, signals: "Callable[[], list[int]]") -> int:
        """Keep the server running until it ends for good; returns the exit status.

        *signals* returns those that came since it was last asked."""
        _hearts.prefork_init()
        lifeline = os.pipe()
        self._fork(lifeline)
        while True:
            now = time.monotonic()
            if not self._stopping:
                for each in self._keepers:
                    each.tend(now)
            serve_pipes(self._selector, LOOK)
            for number in signals():
                self._signalled(number)
            pid, status = os.waitpid(self._child, os.WNOHANG)
            if pid:
                final = self._ended(status)
                if final is not None:
                    for keeper in self._keepers:
                        keeper.stop(MANAGED_PATIENCE)
                    return final
                self._fork(lifeline)
            else:
                self._look(time.monotonic())

    def _fork(self, lifeline: tuple[int, int]) -> None:
        global _starts
        _hearts.prefork_init()
        self._stacks = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - lives as long as the child
        self._begun.append(time.monotonic())
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._be_child(parent, lifeline)
        _starts += 1
        self._child = pid

    def _be_child(self, parent: int, lifeline: tuple[int, int]) -> NoReturn:
        status = 1
        try:
            os.close(lifeline[1])
            die_with_parent(parent, lifeline[0])
            assert self._stacks is not None
            faulthandler.enable(self._stacks)
            self._selector.close()
            status = self._serve()
        finally:
            os._exit(status)

    def _signalled(self, number: int) -> None:
        if number in _ENDING:
            if not self._stopping:
                self._deadline = time.monotonic() + STOP_PATIENCE
            self._stopping = number
        try:
            os.kill(self._child, number)
        except ProcessLookupError:
            pass

    def _look(self, now: float) -> None:
        """Kill a server that hangs, or takes too long to stop."""
        if self._stopping:
            if now > self._deadline:
                log.error.log(f"[WATCHDOG] {self._name} {self._child} does not stop and is killed.\n")
                os.kill(self._child, signal.SIGKILL)
            return
        silent = _hearts.silent(now)
        if silent is None:
            return
        heart, seconds = silent
        log.error.log(f"[WATCHDOG] {self._name} {self._child}: no heartbeat of {heart} for {seconds:.1f} s.\n")
        self._glide("watchdog")
        os.kill(self._child, signal.SIGABRT)  # its handler writes the stacks of all threads
        deadline = time.monotonic() + ABORT_PATIENCE
        while time.monotonic() < deadline and not _has_ended(self._child):
            time.sleep(0.02)
        os.kill(self._child, signal.SIGKILL)

    def _ended(self, status: int) -> int | None:
        """The exit status for the monitor, or None when the server is to be started again."""
        code = os.waitstatus_to_exitcode(status)
        self._keep_stacks()
        if self._stopping:
            return _ENDING[signal.Signals(self._stopping)] if code < 0 else code
        if code in (0, EXIT_NO_RESTART):
            return code
        if -code in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            log.error.log(f"[WATCHDOG] {self._name} {self._child} was told to end and is not restarted.\n")
            return 128 - code
        if code < 0 and -code not in (signal.SIGKILL, signal.SIGABRT):
            self._glide("crash")
        how = signal.Signals(-code).name if code < 0 else f"status {code}"
        now = time.monotonic()
        recent = [each for each in self._begun if now - each < self._plan.span]
        self._begun = recent
        if len(recent) > self._plan.retries:
            log.error.log(
                f"[WATCHDOG] {self._name} {self._child} ended with {how}: {self._plan.retries} restarts within "
                f"{self._plan.span:g} s are enough.\n"
            )
            return EXIT_GAVE_UP
        log.error.log(f"[WATCHDOG] {self._name} {self._child} ended with {how} and is restarted.\n")
        return None

    def _glide(self, reason: str) -> None:
        """Run the glider on the server; what it prints is kept as the trace."""
        if not self._plan.glider:
            return
        save = self._plan.save_trace_output and self._plan.tracedir
        try:
            done = subprocess.run(
                [self._plan.glider, str(self._child), reason],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if save else subprocess.DEVNULL,
                timeout=GLIDER_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as failure:
            log.error.log(f"[WATCHDOG] glider {self._plan.glider}: {failure}\n")
            return
        if save:
            self._trace(done.stdout)

    def _keep_stacks(self) -> None:
        """Keep what the server wrote about its stacks when it crashed or was aborted."""
        stacks, self._stacks = self._stacks, None
        if stacks is None:
            return
        with stacks:
            stacks.seek(0)
            written = stacks.read(1 << 20)
        if not written:
            return
        if self._plan.tracedir:
            self._trace(written)
        else:
            log.error.log(written)

    def _trace(self, text: bytes) -> None:
        path = Path(self._plan.tracedir or ".") / f"{self._name}.{self._child}.trc"
        try:
            with path.open("ab") as file:
                file.write(text)
        except OSError as failure:
            log.error.log(f"[WATCHDOG] trace {path}: {failure.strerror}\n")
            return
        log.error.log(f"[WATCHDOG] trace in {path}\n")


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
