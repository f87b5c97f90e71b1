"""mtev_main: brings the stack up in its order, waits for signals, takes it down.  Manual: mtev_main.

The main thread runs no event loop: it sleeps until a signal comes, so that it can act even when every loop is stuck.
"""

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import NoReturn

from runtime import (
    conf,
    console,
    crash,
    daemon,
    eventer,
    late,
    lifecycle,
    log,
    memory,
    modules,
    reload,
    services,
    signals,
    stacks,
    trace,
)
from runtime.conf import logs, names
from runtime.security import SecurityError, security_init

EXIT_CONFIGURATION = 2
"""Exit status when the configuration or a module it names cannot be used."""

EXIT_STUCK = 1
"""Exit status of a process that was told to end while a loop did not turn."""

TIMEOUT = 1.0
"""Seconds for which the end of the process waits for whoever holds the configuration."""

MAINTENANCE = 1.0
"""Seconds between two looks at what is to be rotated or saved."""

IMPORTING = 0.02
"""Seconds that importing what may be needed later takes of each of those looks."""

_LOOK = 0.05  # seconds between two looks at the loops while the process stops
_SHARE = 0.75  # of the time it has to stop, after which a loop is given up: the rest is for saying so
_WRITING = 3.0  # seconds beyond those for a thread that ends the process by itself
_EARLY = "the server was told to end before it was up"


STARTING_ERRORS = (conf.ConfError, eventer.EventerError, modules.ModuleError, daemon.LockError, SecurityError)
"""What a start may fail with, in one line each."""


def run(
    configuration: conf.Conf,
    *,
    foreground: int = 1,
    lock: daemon.LockOp = daemon.LockOp.LOCK,
    glider: str | None = None,
    user: str | None = None,
    group: str | None = None,
    enable_logs: Iterable[str] = (),
) -> int:
    """Run the stack that *configuration* describes until a signal ends it; returns the exit status.

    TERM, INT and QUIT end it, even while it starts.  HUP has logs reopened and the configuration read again, which
    stays as it was when it is bad; USR1 has logs reopened; USR2 logs what every thread is doing.  Those three are done
    once it has started.

    Args: *foreground*, 1: in this process; 2: in a child that this process monitors; 0: likewise, in the background;
    *lock*, what to do about the lock file; *glider*, run on a server that crashes or hangs, instead of the configured
    one; *user* and *group*, names or numbers, are taken on once logs are open, modules loaded and listeners bound;
    *enable_logs* names streams to enable whatever the configuration says.
    Raises :exc:`runtime.conf.ConfError`, :exc:`runtime.eventer.EventerError`, :exc:`runtime.modules.ModuleError`,
    :exc:`runtime.daemon.LockError` or :exc:`SecurityError` for what cannot be brought up.  Manual: mtev_main."""
    with signals.kept():
        try:
            with signals.unmistaken():
                return _run(configuration, foreground, lock, glider, user, group, tuple(enable_logs))
        except signals.Terminated as told:
            return _ended_early(told)


def _run(
    configuration: conf.Conf,
    foreground: int,
    lock: daemon.LockOp,
    glider: str | None,
    user: str | None,
    group: str | None,
    enabled: tuple[str, ...],
) -> int:
    conf.set_current(configuration)
    console.init(configuration.root_name)
    lifecycle.set_terminate(terminate)
    configuration.hold_against(names.check)
    logs.configure(configuration, later=True)
    _enable(configuration, enabled)

    def take_logs(changed: conf.Conf) -> None:
        logs.configure(changed)
        _enable(changed, enabled)

    configuration.hold_reloads_against(logs.check)
    lifecycle.on_reload("logs", take_logs)
    if foreground != 1:
        return _monitor(configuration, foreground == 0, lock, glider, user, group)
    crash.watch()
    daemon.lock(configuration, lock)
    trace.expose()
    return _serve(configuration, user, group, None)


def _monitor(
    configuration: conf.Conf,
    in_background: bool,
    lock: daemon.LockOp,
    glider: str | None,
    user: str | None,
    group: str | None,
) -> int:
    """Have the server run in a child of this process, which watches over it; the exit status."""
    from runtime import watchdog  # few programs are watched

    plan = watchdog.plan(configuration, glider=glider, user=user, group=group)
    background = None
    if in_background:
        background = daemon.daemonize(lambda: _lock_only(configuration, lock))
    else:
        daemon.lock(configuration, lock)
    trace.expose()  # by the process that stays

    def serve() -> int:
        try:
            with signals.unmistaken():
                signals.unblock()
                if watchdog.number_of_starts():
                    reload.reopen_logs()
                    with contextlib.suppress(conf.ConfError):  # which was told
                        reload.read_again(configuration)  # as the server before may have left it
                status = _serve(configuration, user, group, watchdog)
                if background is not None:
                    background.told(status or 128 + signal.SIGTERM, _EARLY)  # unless it was up once
        except STARTING_ERRORS as failure:
            log.error.log(f"{configuration.root_name}: {failure}\n")
            status = EXIT_CONFIGURATION
            if background is not None:
                background.told(status, str(failure))
        except signals.Terminated as told:
            status = _ended_early(told)
            if background is not None:
                background.told(128 + told.number, str(told))
        terminate(status)

    def came_up() -> None:
        if background is not None:
            background.told(0)

    signals.hold()
    monitor = watchdog.Monitor(configuration.root_name, plan, serve, came_up)
    ended = monitor.run()
    if background is not None and monitor.told_to_end:
        background.told(128 + monitor.told_to_end, _EARLY)
    elif background is not None:
        background.told(ended)  # likewise
    return ended


def _enable(configuration: conf.Conf, names: Iterable[str]) -> None:
    for name in names:
        logs.enable(configuration, name)


def _lock_only(configuration: conf.Conf, operation: daemon.LockOp) -> None:
    daemon.lock(configuration, operation)


def _serve(configuration: conf.Conf, user: str | None, group: str | None, watched: ModuleType | None) -> int:
    """The server itself, from its loops to its end; *watched* is the watchdog, if there is one."""
    signals.prepare()
    memory.watch()
    if crash.wanted():
        eventer.prepare_threads(crash.prepare_thread)
    eventer.init(configuration)
    if configuration.get_section("//zipkin") is not None:
        from runtime import zipkin  # few programs are traced

        zipkin.configure(configuration)
        zipkin.renew()
    loaded = modules.load(configuration)
    logs.resolve_types(configuration)
    services.open_listeners(configuration)
    if user is not None or group is not None:
        late.import_all()  # what comes later may not find its files any more
    security_init(user, group)
    if watched is not None:
        watched.bind_again()
    report = _report if watched is None else watched.report
    signals.hold()
    eventer.start()
    if watched is not None:
        watched.watch_loops()
    try:
        with signals.raised():
            modules.start(loaded)
        lifecycle.start()
        if watched is not None:
            eventer.after_posted(lambda: lifecycle.is_stopping() or watched.came_up())
        received = _until_told(configuration, report)
    except signals.Terminated as told:
        received = told.number
    log.error.log(f"[TERMINATE] received {signal.Signals(received).name.lower()}, shutting down.\n")
    status = _stop(signals.TERMINATING[signal.Signals(received)], report)
    if configuration.unwritten:
        configuration.save_quietly()
    return status


def _until_told(configuration: conf.Conf, report: Callable[[], None]) -> int:
    """Do what signals ask for; returns the number of the one that is to end the process."""
    while True:
        received = signals.wait(MAINTENANCE, lambda: _maintain(configuration))
        if received in signals.TERMINATING:
            return received
        if received == signal.SIGUSR2:
            _attempt(report)
        elif received == signal.SIGUSR1:
            _attempt(reload.reopen_logs)
        else:
            _attempt(lambda: reload.reload(configuration))


def _report() -> None:
    log.error.log(stacks.report())


def _ended_early(told: signals.Terminated) -> int:
    """Say so; the exit status."""
    signals.hold()
    log.error.log(f"[TERMINATE] {told}.\n")
    return told.status


def _stop(status: int, report: Callable[[], None]) -> int:
    """Let what is in flight end, and stop the loops; the exit status.  *report* is for who asks meanwhile.

    A loop that does not turn ends the process.  One that keeps the interpreter to itself, in a finalizer that runs as
    its state is closed say, cannot be looked at: then a thread of C's ends the process, unless it is put off in
    time."""
    stopped = threading.Event()
    timeout = eventer.settings().shutdown_timeout
    share = timeout * _SHARE
    pulse = eventer.Pulse()

    def put_off(seconds: float = max(timeout, 2 * _LOOK)) -> None:
        faulthandler.dump_traceback_later(seconds, exit=True, file=2)

    def look() -> None:
        while not (stopped.wait(_LOOK) or lifecycle.is_ending()):
            put_off()
            if signal.SIGUSR2 in signals.pending():
                report()
            stuck = pulse.silent(share)
            if stuck:
                names = ", ".join(each.name for each in stuck)
                log.error.log(f"[TERMINATE] loop threads that do not turn: {names}; ending without them.\n")
                log.error.log(stacks.report())
                terminate(EXIT_STUCK)
        put_off(timeout + _WRITING)  # some thread ends the process, and writes what waits first

    looking = threading.Thread(target=look, name="shutdown", daemon=True)
    put_off()
    looking.start()
    try:
        lifecycle.stop(_attempt)
        eventer.stop()
    except eventer.EventerError as stuck:
        log.facility("error/eventer").log(f"{stuck}\n")
        status = EXIT_STUCK
    finally:
        stopped.set()
        looking.join()
        faulthandler.cancel_dump_traceback_later()
    return status


def _maintain(configuration: conf.Conf) -> None:
    _attempt(lambda: log.maintain(time.time()))
    _attempt(memory.tell)
    _attempt(lambda: late.import_some(IMPORTING))
    _attempt(configuration.tick)


def _attempt(function: Callable[[], object]) -> None:
    """Call *function*: where it fails, for want of memory or descriptors say, the process goes on without it."""
    try:
        function()
    except Exception:
        log.error.log(f"{getattr(function, '__qualname__', function)!s} failed\n{traceback.format_exc()}")


def terminate(status: int) -> NoReturn:
    """End the process with *status*, at once and from any thread.

    Everything logged and printed is written first, and what was changed in the configuration."""
    lifecycle.exit_now(_attempt)
    configuration = conf.current_or_none()
    if configuration is not None and configuration.unwritten:
        configuration.save_quietly(TIMEOUT)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # as it is when the process was started without
                stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads it any more
    # What Lua's io library still holds; where a thread waits in it for ever, the others' files are written by then.
    flushing = threading.Thread(target=ctypes.CDLL(None).fflush, args=(None,), daemon=True)
    try:
        flushing.start()
        flushing.join(TIMEOUT)
    except RuntimeError:
        pass  # no more threads
    log.close_all()
    os._exit(status)
