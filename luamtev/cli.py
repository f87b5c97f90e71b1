"""The program luamtev: options, the configuration it generates, and the exit status.

Exit status: 0, or what the script gave to os.exit; 2 for a command line or configuration that cannot be used; 255 for
an error in the script that nobody caught.
"""

import getopt
import os
import sys
from dataclasses import dataclass, field

from lxml import etree

from luamtev import modules, state
from runtime import conf, console, lifecycle, log
from runtime import main as stack

USAGE = """\
usage: luamtev [-i] [-c conf] [-L path] [-C cpath] [-M dir] [-d] [-m[-m]] [-n threads]
               [-l log]... [-e func] [-u user] [-g group] file.lua [args...]
       luamtev -T [file.lua]
       luamtev -h

  -c conf     use this configuration; of it, only lua_module is replaced, in memory
  -L path     the Lua path; +path is appended to the default, {package.path} stands for it
  -C cpath    the path of C modules, likewise
  -M dir      directories of loadable modules, separated by colons
  -d          enable the debug log
  -l log      enable this log
  -n threads  event loop threads (1)
  -e func     the function to run (main)
  -m          run under the watchdog, which stays in the foreground and starts the program
              again when it hangs or crashes
  -m -m       the same, in the background (libmtev's luamtev has the two the other way round)
  -u user     take on this user once logs are open
  -g group    take on this group
  -T          print the configuration and exit
  -i          a console on the terminal, or for lines piped in: show version, lua_general, and so on
  -h          print this help

Options end at the file name: what follows is for the script.
"""

EXIT_USAGE = 2


class UsageError(Exception):
    """The command line cannot be used; the message says what of it."""


@dataclass
class Arguments:
    """The command line, checked."""

    conf: str | None = None
    lua_path: str = ""
    lua_cpath: str = ""
    modules_directory: str | None = None
    debug: bool = False
    threads: int = 1
    interactive: bool = False
    managed: int = 0
    logs: list[str] = field(default_factory=list)
    function: str = "main"
    user: str | None = None
    group: str | None = None
    test: bool = False
    help: bool = False
    script: tuple[str, ...] = ()


def main(argv: list[str] | None = None) -> int:
    """Run the command line *argv* (the process's own by default); returns the exit status, if the process lives on."""
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
    except UsageError as mistake:
        sys.stderr.write(f"luamtev: {mistake}\n{USAGE}")
        return EXIT_USAGE
    if arguments.help:
        sys.stdout.write(USAGE)
        return 0
    if not arguments.script and not arguments.test:
        sys.stderr.write(USAGE)
        return EXIT_USAGE
    try:
        configuration = configure(arguments)
        if arguments.test:
            sys.stdout.write(configuration.tostring().decode())
            return 0
        status = run(arguments, configuration)
    except stack.STARTING_ERRORS as failure:
        sys.stderr.write(f"luamtev: {failure}\n")
        status = stack.EXIT_CONFIGURATION
    return stack.terminate(status)


def run(arguments: Arguments, configuration: conf.Conf) -> int:
    """Run the script in the stack of *configuration*, until a signal; returns the exit status."""
    modules.register()
    _open_standard_descriptors()
    log.new_stream("stdout", type="file", fd=1)
    state.host = state.Host(arg=arguments.script, print_stream="stdout")
    if arguments.interactive:
        lifecycle.on_start(console.start_on_terminal)
    return stack.run(
        configuration,
        foreground=(1, 2, 0)[min(arguments.managed, 2)],
        user=arguments.user,
        group=arguments.group,
        enable_logs=[*(["debug"] if arguments.debug else []), *arguments.logs],
    )


def _open_standard_descriptors() -> None:
    """Have 0, 1 and 2 lead nowhere where they are closed: nothing else shall get these numbers, and what is printed."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def parse(argv: list[str]) -> Arguments:
    """Read the command line.  Raises :exc:`UsageError`."""
    try:
        options, script = getopt.getopt(argv, "ic:L:C:M:dmn:l:e:u:g:Th")
    except getopt.GetoptError as mistake:
        raise UsageError(str(mistake)) from None
    arguments = Arguments(script=tuple(script))
    for option, value in options:
        match option:
            case "-i":
                arguments.interactive = True
            case "-m":
                arguments.managed += 1
            case "-c":
                arguments.conf = value
            case "-L":
                arguments.lua_path = search_path(value, "{package.path}")
            case "-C":
                arguments.lua_cpath = search_path(value, "{package.cpath}")
            case "-M":
                arguments.modules_directory = value
            case "-d":
                arguments.debug = True
            case "-n":
                if not value.isdecimal() or not 0 < int(value) <= 1024:
                    raise UsageError(f"-n: '{value}' is no number of threads between 1 and 1024")
                arguments.threads = int(value)
            case "-l":
                arguments.logs.append(value)
            case "-e":
                arguments.function = value
            case "-u":
                arguments.user = value
            case "-g":
                arguments.group = value
            case "-T":
                arguments.test = True
            case _:
                arguments.help = True
    return arguments


def search_path(value: str, default: str) -> str:
    """A Lua search path as `-L` and `-C` give it: `+x` appends to the default, anything else replaces it."""
    return f"{default};{value[1:]}" if value.startswith("+") else value


def configure(arguments: Arguments) -> conf.Conf:
    """The configuration to run: the generated one, or the given file with its lua_module replaced.

    Raises :exc:`runtime.conf.ConfError`."""
    if arguments.conf is None:
        return conf.loads(generated(arguments), "<generated>", app="cli")
    configuration = conf.load(arguments.conf, app="cli")
    if arguments.script:
        base = '/cli/modules/*[self::generic or self::module][@name="lua_general"]/config'
        if not configuration.override(f"{base}/lua_module", _absolute(arguments.script[0])):
            there = '/cli/modules/generic[@name="lua_general"]/config'
            raise conf.ConfError(f"nothing at {there}, so {arguments.script[0]} cannot run", arguments.conf)
    return configuration


def generated(arguments: Arguments) -> bytes:
    """The configuration of a script without one of its own, as XML."""
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
        under(config, "lua_module", _absolute(arguments.script[0]) if arguments.script else None)
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
    return os.path.abspath(script)  # noqa: PTH100 - links in it stay as the user gave them
