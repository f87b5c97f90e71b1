"""``luamtev --check``: all that starting would refuse, each with its file and line, without starting anything."""

import sys
from collections.abc import Callable, Iterator

from luamtev import modules as lua_modules
from luamtev.arguments import Arguments
from runtime import conf, eventer, log, modules
from runtime.conf import logs, names


def check(arguments: Arguments, configuration: conf.Conf) -> int:
    """Print every mistake of *arguments* and *configuration* on stderr; 0 when there is none, else 2.

    Ports are bound and let go of, certificates read, modules loaded and configured; log files are not made."""
    conf.set_current(configuration)
    lua_modules.register()
    found: dict[str, None] = {}
    for mistake in _mistakes(arguments, configuration):
        found[str(mistake)] = None
    for line in found:
        sys.stderr.write(f"luamtev: {line}\n")
    if not found:
        sys.stdout.write(f"{configuration.name}: nothing wrong\n")
    return 2 if found else 0


def _mistakes(arguments: Arguments, configuration: conf.Conf) -> Iterator[object]:
    yield from names.mistakes(configuration)
    yield from logs.mistakes(configuration)
    declared = {configuration.inherited(each, "name") for each in configuration.get_sections("//logs//log")}
    for name in arguments.logs:
        if name not in declared and not log.stream_exists(name):
            yield f"-l {name}: there is no such log"
    yield from _raised(eventer.init, configuration)
    yield from modules.mistakes(configuration)
    if configuration.get_sections("//listeners//listener"):
        from runtime import http, net

        yield from _raised(http.configure, configuration)
        yield from net.mistakes(configuration)
    if configuration.get_section("//clusters") is not None:
        from runtime.cluster import mistakes

        yield from mistakes(configuration)


def _raised(function: Callable[[conf.Conf], object], configuration: conf.Conf) -> Iterator[Exception]:
    try:
        function(configuration)
    except (conf.ConfError, eventer.EventerError) as mistake:
        yield mistake
