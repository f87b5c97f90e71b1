"""``luamtev --check``: all that starting would refuse, each with its file and line, without starting anything."""

import sys
from collections.abc import Callable, Iterator
from functools import partial

from luamtev import modules as lua_modules
from luamtev.arguments import Arguments
from runtime import conf, daemon, eventer, modules, security, services, watchdog
from runtime.conf import logs, names

REFUSALS = (conf.ConfError, eventer.EventerError, daemon.LockError, security.SecurityError)


def check(arguments: Arguments, configuration: conf.Conf) -> int:
    """Print every mistake of *arguments* and *configuration* on stderr; 0 when there is none, else 2.

    Ports are bound and let go of, certificates read, modules loaded and configured; log files are not made."""
    conf.set_current(configuration)
    lua_modules.register()
    found: dict[str, None] = {}
    for step in _steps(arguments, configuration):
        with configuration.collecting() as mistakes:
            try:
                step(configuration)
            except REFUSALS as refusal:
                found[str(refusal)] = None
        found |= {str(each): None for each in mistakes}
    for line in found:
        sys.stderr.write(f"luamtev: {line}\n")
    if not found:
        sys.stdout.write(f"{configuration.name}: nothing wrong\n")
    return 2 if found else 0


def _steps(arguments: Arguments, configuration: conf.Conf) -> Iterator[Callable[[conf.Conf], object]]:
    """As a start takes them; each raises, or complains of, what it refuses."""
    yield names.check
    yield logs.check
    for name in arguments.logs:
        yield partial(logs.check_name, name=name)
    yield daemon.check
    yield watchdog.check
    yield eventer.init
    if configuration.get_section("//zipkin") is not None:
        from runtime import zipkin

        yield zipkin.configure
    yield modules.check
    yield logs.check_types
    if configuration.get_section("//clusters") is not None:
        from runtime import cluster

        yield cluster.check
    if services.is_asked_for(configuration):
        yield services.check
    yield lambda _: security.check(arguments.user, arguments.group)
