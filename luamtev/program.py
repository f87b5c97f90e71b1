"""The program luamtev, its command line read: the configuration it generates, and the exit status.

Exit status: 0, or what the script gave to os.exit; 2 for a command line or configuration that cannot be used; 255 for
an error in the script that nobody caught.
"""

import os
import re
import sys

from lxml import etree

from luamtev import modules, options, settings
from luamtev.arguments import Arguments
from runtime import conf, console, daemon, lifecycle, log
from runtime import main as stack

EXIT_CANNOT_READ = 255

_NO_LOCKFILE = 'the root element has no lockfile, by which a server is found: expected lockfile="PATH"'
_UNSPECIFIED = "unspecified.lua"  # what the original prints, too, where no script is given
_OF_GENERATED = {"lua-path": "directory", "lua-cpath": "cpath", "modules": "directory of <modules>"}
_OF_GENERATED |= {"threads": "concurrency", "function": "lua_function"}
"""Options that say what stands in a generated configuration, and where it stands in one that is given."""


def main(arguments: Arguments) -> int:
    """Do what *arguments* ask for; returns the exit status, if the process lives on."""
    if arguments.script and arguments.action in ("run", "check"):
        failure = _unreadable(arguments.script[0])
        if failure is not None:
            sys.stderr.write(f"luamtev: {arguments.script[0]} cannot be read: {failure}\n")
            return EXIT_CANNOT_READ if arguments.action == "run" else stack.EXIT_CONFIGURATION
    try:
        configuration = configure(arguments)
        match arguments.action:
            case "print-conf":
                sys.stdout.write(configuration.tostring().decode())
                return 0
            case "check":
                from luamtev.checking import check  # it knows all there is

                return check(arguments, configuration)
            case "status":
                return status(configuration)
            case "stop":
                return stop(configuration)
        ended = run(arguments, configuration)
    except daemon.StartError as failed:
        sys.stderr.write(f"luamtev: {failed}\n")
        ended = failed.status
    except stack.STARTING_ERRORS as failed:
        sys.stderr.write(f"luamtev: {failed}\n")
        ended = stack.EXIT_CONFIGURATION
    return stack.terminate(ended)


def _unreadable(script: str) -> str | None:
    """Why *script* cannot be read, None for what can."""
    try:
        with open(script, "rb"):
            return None
    except OSError as failure:
        return failure.strerror


def status(configuration: conf.Conf) -> int:
    """Say whether the server of *configuration* runs.  Raises :exc:`runtime.conf.ConfError` without a lock file."""
    found = daemon.status(configuration)
    path = configuration.root.get("lockfile")
    if not path:
        raise configuration.error(_NO_LOCKFILE, configuration.root)
    print(f"process {found[0]} runs" if found else "not running")  # noqa: T201 - what was asked for
    return 0 if found else 1


def stop(configuration: conf.Conf) -> int:
    """Have the server of *configuration* end.  Raises :exc:`runtime.conf.ConfError` without a lock file."""
    if not configuration.root.get("lockfile"):
        raise configuration.error(_NO_LOCKFILE, configuration.root)
    try:
        return 0 if daemon.terminate_running(configuration) else 1
    except PermissionError:
        sys.stderr.write("luamtev: the server belongs to somebody else\n")
        return 1


def run(arguments: Arguments, configuration: conf.Conf) -> int:
    """Run the script in the stack of *configuration*, until a signal; returns the exit status."""
    modules.register()
    _open_standard_descriptors()
    log.new_stream("stdout", type=settings.stdout_type, fd=1)
    settings.host = settings.Host(
        arg=arguments.script, print_stream="stdout", watched=arguments.reload, patient=not arguments.managed
    )
    if arguments.reload:
        from luamtev.modules import watcher  # for those who develop

        lifecycle.on_start(watcher.start)
    if arguments.interactive:
        lifecycle.on_start(console.start_on_terminal)
    return stack.run(
        configuration,
        foreground=(1, 2, 0)[min(arguments.managed, 2)],
        user=arguments.user,
        group=arguments.group,
        enable_logs=[
            *(["debug"] if arguments.debug else []),
            *(["notice"] if arguments.reload else []),
            *arguments.logs,
        ],
    )


def _open_standard_descriptors() -> None:
    """Have 0, 1 and 2 lead nowhere where they are closed: nothing else shall get these numbers, and what is printed."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def configure(arguments: Arguments) -> conf.Conf:
    """The configuration to run: the generated one, or the given file with its lua_module replaced.

    Raises :exc:`runtime.conf.ConfError`."""
    if arguments.conf is None:
        for each in re.split("[:;]", arguments.modules_directory or ""):
            if arguments.action in ("run", "check") and each and not os.path.isdir(each):  # noqa: PTH112
                raise conf.ConfError(f"-M {each}: there is no such directory")
        return conf.loads(generated(arguments), "<generated>", app="cli")
    configuration = conf.load(arguments.conf, app="cli")
    for given in arguments.given:
        there = _OF_GENERATED.get(options.find(given).long)
        if there is not None:
            sys.stderr.write(f"luamtev: {given} means nothing with -c: {there} in {arguments.conf} holds\n")
    if not arguments.script and arguments.action in ("run", "check"):
        _check_module_is_named(configuration)
    if arguments.script:
        base = '/cli/modules/*[self::generic or self::module][@name="lua_general"]/config'
        if not configuration.override(f"{base}/lua_module", _absolute(arguments.script[0])):
            there = '/cli/modules/generic[@name="lua_general"]/config'
            raise conf.ConfError(f"nothing at {there}, so {arguments.script[0]} cannot run", arguments.conf)
    return configuration


def _check_module_is_named(configuration: conf.Conf) -> None:
    """Raises :exc:`runtime.conf.ConfError` for a lua_general that would have nothing to run, with no file given."""
    if not configuration.get_sections("//modules//*[@image or @name]|//listeners//listener"):
        what = "no file given, and the configuration has neither modules nor listeners: nothing would run"
        raise configuration.error(what, configuration.root)
    found = '//modules//*[self::generic or self::module][@name="lua_general"]'
    for section in configuration.get_sections(found):
        named = configuration.get_hash(section, "config").get("lua_module", "")
        if named in ("", _UNSPECIFIED) and not configuration.env_off(section):
            raise configuration.error("no file given, and lua_general has no lua_module", section)


def generated(arguments: Arguments) -> bytes:
    """The configuration of a script without one of its own, as XML.

    Raises :exc:`runtime.conf.ConfError` for an argument that XML cannot hold."""
    root = etree.Element("cli")

    def under(parent: "etree._Element", tag: str, text: str | None = None, **attributes: str) -> "etree._Element":
        element = etree.SubElement(parent, tag, attributes)
        element.text = text
        return element

    try:
        under(under(under(root, "eventer"), "config"), "concurrency", str(arguments.threads))
        directory = {} if arguments.modules_directory is None else {"directory": arguments.modules_directory}
        generic = under(under(root, "modules", **directory), "generic", image=modules.IMAGE, name="lua_general")
        config = under(generic, "config")
        under(config, "Cpreloads")
        under(config, "directory", arguments.lua_path or "{package.path}")
        under(config, "cpath", arguments.lua_cpath or "{package.cpath}")
        under(config, "lua_module", _absolute(arguments.script[0]) if arguments.script else _UNSPECIFIED)
        under(config, "lua_function", arguments.function)
        under(config, "tragedy_terminates", "true")
        logs = under(root, "logs", dedup_seconds="0")
        console = under(logs, "console_output")
        under(console, "outlet", name="stderr")
        under(console, "log", name="error")
        under(console, "log", name="debug", disabled="true")
        under(console, "log", name="notice", disabled="true")
    except ValueError as unfit:
        raise conf.ConfError(f"an argument cannot stand in a configuration: {unfit}") from None
    etree.indent(root)
    return etree.tostring(root, encoding="utf8", standalone=True) + b"\n"


def _absolute(script: str) -> str:
    """The module's name: a program that is started by a link finds what lies beside its file."""
    return os.path.realpath(script)
