"""Managed applications: programs that the monitor keeps running beside the server.  Manual: Managed Applications.

One that ends with status 0 is started again at once, any other after a pause that doubles from failure to failure.
What they write goes to log streams, line by line.
"""

import os
import selectors
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

from runtime import log, security
from runtime.conf import Conf, Section, logs, parse_boolean
from runtime.security import SecurityError, groups_of

from ._death import with_parent

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds before an application that failed is started again, doubled each time."""

STEADY = 60.0
"""Seconds of running after which the next pause is short again."""
LONGEST_LINE = 64 << 10


@dataclass(frozen=True)
class Application:
    """What an ``<application>`` element says."""

    exec: str
    arguments: tuple[str, ...] = ()
    user: str | None = None
    group: str | None = None
    dir: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    stdout: str = "error"
    stderr: str = "error"


def applications(configuration: Conf, user: str | None, group: str | None) -> list[Application]:
    """The applications that *configuration* declares; *user* and *group* are those of the server.

    Complains (:meth:`runtime.conf.Conf.complain`) of one that makes no sense."""
    return [_read(configuration, each, user, group) for each in _sections(configuration)]


def _read(c: Conf, section: Section, user: str | None, group: str | None) -> Application:
    def wrong(text: str) -> None:
        c.complain(c.error(f"<application> {text}", section))

    program = c.inherited(section, "exec") or ""
    if not program:
        wrong("expected an exec, the program to run")
    whole = True
    try:
        whole = parse_boolean(c.inherited(section, "environment") or "true")
    except ValueError as mistake:
        wrong(f"environment: '{c.inherited(section, 'environment')}': {mistake}")
    environment = dict(os.environ) if whole else {}
    for each in c.get_sections("./env", section):
        text = (each.text or "").strip()
        key, equals, value = text.partition("=")
        if not key:
            c.complain(c.error("<application> <env>: expected KEY=VALUE or KEY", each))
        elif equals:
            environment[key] = value
        elif key in os.environ:
            environment[key] = os.environ[key]
    return Application(
        program,
        (c.inherited(section, "arg0") or program, *((each.text or "") for each in c.get_sections("./arg", section))),
        c.inherited(section, "user") or user,
        c.inherited(section, "group") or group,
        c.inherited(section, "dir"),
        environment,
        c.inherited(section, "stdout") or "error",
        c.inherited(section, "stderr") or "error",
    )


def check(c: Conf) -> None:
    """Look for what the applications of *c* lack today: a start tells of it, and tries again and again.

    Complains (:meth:`runtime.conf.Conf.complain`)."""
    for section in _sections(c):
        found = _read(c, section, None, None)

        def wrong(text: str, section: Section = section) -> None:
            c.complain(c.error(f"<application> {text}", section))

        program = found.exec
        if ("/" not in program or os.path.isabs(program)) and program and shutil.which(program) is None:  # noqa: PTH117
            wrong(f"exec='{program}': there is no such program")
        if found.dir and not os.path.isdir(found.dir):  # noqa: PTH112
            wrong(f"dir='{found.dir}': there is no such directory")
        for user, group in ((found.user, None), (None, found.group)):
            try:
                security.check(user, group)
            except SecurityError as mistake:
                wrong(str(mistake))
        for name, stream in (("stdout", found.stdout), ("stderr", found.stderr)):
            lacking = logs.lacks(c, stream)
            if lacking is not None:
                wrong(f"{name}='{stream}': {lacking}")


def _sections(c: Conf) -> list[Section]:
    root = c.root_name
    found = c.get_sections(f"/{root}/managed//application|/{root}/include/managed//application")
    return [each for each in found if not c.env_off(each)]


class Supervisor:
    """Keeps one application running; its methods are for the monitor's thread."""

    def __init__(self, application: Application, selector: selectors.BaseSelector) -> None:
        self.application = application
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._selector = selector
        self._pause = FIRST_PAUSE
        self._since = 0.0
        self._next = 0.0

    def tend(self, now: float) -> None:
        """Start it, or notice that it ended; *now* is monotonic."""
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return
            self._ended(status, now)
        if now >= self._next:
            self._start(now)

    def stop(self, timeout: float) -> None:
        """End it and what it started in its process group: TERM, and KILL after *timeout* seconds."""
        if self.process is None:
            return
        signal_group(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._drain()
        self.process = None

    def _start(self, now: float) -> None:
        it = self.application
        self.starts += 1
        try:
            self.process = subprocess.Popen(
                list(it.arguments),
                executable=it.exec,
                env=it.environment,
                cwd=it.dir,
                **_rights(it),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
                preexec_fn=with_parent(os.getpid()),  # the monitor has one thread
            )
        except (OSError, ValueError, subprocess.SubprocessError, LookupError, SecurityError) as failure:
            log.error.log(f"managed application {it.exec} cannot start: {failure}\n")
            self._fail(now)
            return
        self._since = now
        for pipe, name in ((self.process.stdout, it.stdout), (self.process.stderr, it.stderr)):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, _Lines(name))

    def _ended(self, status: int, now: float) -> None:
        self._drain()
        self.process = None
        if status == 0:
            self._pause, self._next = FIRST_PAUSE, now
            return
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        if now - self._since >= STEADY:
            self._pause = FIRST_PAUSE
        log.error.log(f"managed application {self.application.exec} ended with {how}; again in {self._pause:g} s\n")
        self._fail(now)

    def _fail(self, now: float) -> None:
        self._next = now + self._pause
        self._pause = min(LONGEST_PAUSE, self._pause * 2)

    def _drain(self) -> None:
        assert self.process is not None
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            if pipe.fileno() in self._selector.get_map():
                lines: _Lines = self._selector.unregister(pipe).data
                while lines.read(pipe.fileno()):
                    pass
                lines.finish()
            pipe.close()


class _Lines:
    """What comes out of a pipe, on its way to a log stream."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._rest = b""

    def read(self, fd: int) -> bool:
        """Take what there is; False when there is nothing, or no more to come."""
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        stream = log.stream_find(self._stream)
        for line in lines:
            stream.log(line + b"\n")
        if len(self._rest) > LONGEST_LINE:
            self.finish()
        return bool(data)

    def finish(self) -> None:
        """Log what has no end of line."""
        if self._rest:
            log.stream_find(self._stream).log(self._rest + b"\n")
            self._rest = b""


def serve_pipes(selector: selectors.BaseSelector, timeout: float) -> None:
    """Wait up to *timeout* seconds for applications to write, and log it."""
    if not selector.get_map():
        time.sleep(timeout)
        return
    for key, _ in selector.select(timeout):
        if isinstance(key.data, _Lines) and not key.data.read(key.fd):
            key.data.finish()
            selector.unregister(key.fileobj)


def signal_group(group: int, number: int) -> None:
    """Send a signal to all of a process group, if there is anybody left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _rights(it: Application) -> dict[str, Any]:
    """Whom the application runs as, as subprocess takes it.  A user brings its own groups, as the server's does."""
    if os.geteuid() != 0 or not (it.user or it.group):
        return {}
    group, groups = groups_of(it.user) if it.user else (None, [])
    return {"user": _number(it.user), "group": _number(it.group) or group, "extra_groups": groups}


def _number(name: str | None) -> str | int | None:
    return int(name) if name is not None and name.isdecimal() else name
