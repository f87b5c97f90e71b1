"""The command line of ``luamtev``: what can be said without the stack is said before anything of it is imported."""

import getopt
import os
import sys

from luamtev import options
from luamtev.arguments import Arguments

EXIT_USAGE = 2
HINT = "luamtev --help lists the options"


class UsageError(Exception):
    """The command line cannot be used; the message says what of it."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line *argv* (the process's own by default); returns the exit status, if the process lives on."""
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        if arguments.action in ("help", "version", "completion", "editor", "man"):
            sys.stdout.write(_said(arguments))
            return 0
        if arguments.action in ("status", "stop") and arguments.conf is None:
            raise UsageError(f"--{arguments.action} needs the configuration of the server: -c FILE")
        if not any(arguments.script[:1]) and arguments.conf is None and arguments.action != "print-conf":
            raise UsageError("no file given")
    except UsageError as mistake:
        sys.stderr.write(f"luamtev: {mistake}; {HINT}\n")
        return EXIT_USAGE
    from luamtev import program  # all of the stack

    return program.main(arguments)


def _said(arguments: Arguments) -> str:
    if arguments.action == "help":
        return options.usage()
    if arguments.action == "completion":
        try:
            return options.completion(arguments.shell)
        except ValueError as unknown:
            raise UsageError(f"--completion: {unknown}") from None
    if arguments.action == "editor":
        from luamtev import editor

        try:
            return editor.write() + "\n"
        except (OSError, ValueError) as failure:
            raise UsageError(f"--editor: {failure}") from None
    return options.man(version()) if arguments.action == "man" else f"luamtev {version()}\n"


def version() -> str:
    """The version of this program."""
    from importlib import metadata

    try:
        return metadata.version("luamtev")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def parse(argv: list[str]) -> Arguments:
    """Read the command line.  Raises :exc:`UsageError`."""
    try:
        found, script = getopt.getopt(argv, options.short_options(), options.long_options())
    except getopt.GetoptError as mistake:
        raise UsageError(_explained(mistake)) from None
    arguments = Arguments(script=tuple(script), given=tuple(option for option, _ in found))
    for option, value in found:
        match options.find(option).long:
            case "interactive":
                arguments.interactive = True
            case "watch":
                arguments.managed += 1
            case "reload":
                arguments.reload = True
            case "conf":
                arguments.conf = value
            case "lua-path":
                arguments.lua_path = search_path(value, "{package.path}")
            case "lua-cpath":
                arguments.lua_cpath = search_path(value, "{package.cpath}")
            case "modules":
                arguments.modules_directory = value
            case "debug":
                arguments.debug = True
            case "threads":
                if not value.isdecimal() or int(value) > 1024:
                    raise UsageError(f"{option}: '{value}' is no number of threads between 0 and 1024")
                arguments.threads = int(value)
            case "log":
                arguments.logs.append(value)
            case "function":
                arguments.function = value
            case "user":
                arguments.user = value
            case "group":
                arguments.group = value
            case other:
                arguments.action, arguments.shell = other, value
    return arguments


def _explained(mistake: getopt.GetoptError) -> str:
    name = mistake.opt
    if "requires argument" in mistake.msg:
        option = options.find(f"-{name}" if len(name) == 1 else f"--{name}")
        return f"{'-' if len(name) == 1 else '--'}{name} needs a {option.value}"
    if "must not have an argument" in mistake.msg:
        return f"--{name} takes no value"
    if "not a unique prefix" in mistake.msg:
        return f"--{name} could be several options"
    return f"there is no option {'-' if len(name) == 1 else '--'}{name}"


def search_path(value: str, default: str) -> str:
    """A Lua search path as `-L` and `-C` give it: `+x` appends to the default, anything else replaces it; the first
    ``%s`` in it is the working directory."""
    if "%s" in value:
        try:
            value = value.replace("%s", os.getcwd(), 1)  # noqa: PTH109 - pathlib takes a while to import
        except OSError as gone:
            raise UsageError(f"'{value}': the working directory cannot be told: {gone.strerror}") from None
    return f"{default};{value[1:]}" if value.startswith("+") else value
