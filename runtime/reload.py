"""The configuration read again while the process runs, at the signal HUP or an operator's word.  Manual: mtev_conf.

What can be taken is taken, by those who registered for it (:func:`runtime.lifecycle.on_reload`), and of each change is
told what became of it.
"""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime import conf, eventer, hooks, lifecycle, log

if TYPE_CHECKING:
    from runtime.conf._changes import Change

RELOADED = hooks.declare("conf_reloaded")
"""``(applied, report)`` on a loop thread after each time: whether the configuration could be read, and what became of
each change, a line each, or why not."""

_AT_THE_START = {
    "listeners": "listeners are opened",
    "modules": "modules are loaded and configured",
    "eventer": "loops and job queues are made",
    "ops": "pages are mounted",
    "watchdog": "the monitor begins",
    "managed": "the monitor begins",
    "": "the process begins",
}
"""What of a configuration is read once, and when."""

_IN_FORCE = "in force"

_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Report:
    """What became of it: whether the configuration could be used, and a line for each change, or the one why not."""

    applied: bool
    lines: tuple[str, ...] = ()


def reload(configuration: conf.Conf) -> Report:
    """Reopen the logs, read *configuration* again and take what can be taken; all of it is logged.

    Takes its time: not for a loop thread.  A configuration that came from no file stays as it is."""
    with _one_at_a_time:
        reopen_logs()
        report = _reload(configuration)
    pool = eventer.pool()
    if pool is not None and pool.threads and RELOADED.names:
        pool.threads[0].post(RELOADED.invoke, report.applied, "\n".join(report.lines))
    return report


def reopen_logs() -> None:
    """Have logs go on in the files that have their paths now."""
    try:
        for path in log.reopen_all():
            log.notice.log(f"[RELOAD] log {path}: goes on in another file\n")
    except log.LogError as failure:
        log.error.log(f"{failure}\n")


def read_again(configuration: conf.Conf) -> "list[Change]":
    """Write what was changed in *configuration* and read it again, for nobody yet; what has changed.

    Raises :exc:`runtime.conf.ConfError`, which is logged."""
    if configuration.file is None:
        return []
    try:
        if configuration.unwritten:
            configuration.save()
        return configuration.reload()
    except conf.ConfError as bad:
        log.stream_find("error/conf").log(f"configuration not reloaded: {bad}\n")
        raise


def _reload(configuration: conf.Conf) -> Report:
    try:
        changes = read_again(configuration)
    except conf.ConfError as bad:
        return Report(False, (str(bad),))
    outcomes: dict[str, str] = {}
    lines = []
    for each in changes:
        if each.top not in outcomes:
            outcomes[each.top] = _take(configuration, each.top)
        outcome = outcomes[each.top]
        if each.what == "removed" and each.top in ("logs", "clusters") and outcome == _IN_FORCE:
            outcome = "not in force before a restart: what is there stays"
        lines.append(f"{each}: {outcome}")
        told = log.stream_find("error/conf") if outcome.startswith("not ") else log.notice
        told.log(f"[RELOAD] {lines[-1]}\n")
    if not lines and configuration.file is not None:
        log.notice.log(f"[RELOAD] {configuration.name}: nothing has changed\n")
    return Report(True, tuple(lines))


def _take(configuration: conf.Conf, top: str) -> str:
    """Have what changed below ``/ROOT/top`` taken; what became of it."""
    try:
        if lifecycle.reload(configuration, top):
            return _IN_FORCE
    except conf.ConfError as bad:
        return f"not in force: {bad}"
    when = _AT_THE_START.get(top)
    return "in force for those who ask from now on" if when is None else f"not in force before a restart, when {when}"
