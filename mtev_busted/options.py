"""The command line of mtev-busted, in the original's style and in busted's, and the options a ``.busted`` file sets.

Knows names and shapes of options, not what they lead to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

USAGE = """\
usage: mtev-busted [options] [file or directory]...
       (spec/, or the current directory; every *_spec.lua in it)

Which tests
  -file PATH, --file=PATH       a file or directory of specs
  -p, --pattern=P, --exclude-pattern=P, --no-recursive
                                which files of a directory are specs
  -tag T, -t, --tags=T,...      only tests with one of these tags (#T in their names)
  -exclude-tag T, --exclude-tags=T,...
                                no tests with one of these tags
  -filter P, --filter=P         only tests whose full name matches the Lua pattern
  -filter-out P, --filter-out=P no tests whose full name matches
  --name=NAME                   only the test of this full name
  --only-failed                 only those that failed the last time (all if none did)
  --exclude-names-file=FILE     no tests whose full names this file lists, one a line
  -list, --list                 show the tests, run none

How they run
  -j, --jobs=N                  files run in N processes (0: one a processor); files with #serial in them run alone
  -i, --helper=HELPER           run this Lua file or module first (lua-support/init.lua always is, if it exists)
  -Xhelper A                    an argument for the helpers; split at commas
  -X K[=V]                      TEST_OPTIONS.K = V (or true)
  -e STATEMENT                  run this Lua statement first
  --shuffle, --shuffle-files, --shuffle-tests, --seed=N
                                random order; the same for the same seed
  --sort, --sort-files, --sort-tests
                                order by name
  --repeat=N                    run everything N times
  --watch                       run again what changed and what failed, until interrupted
  --strict                      setup and teardown run even in blocks without tests
  --no-auto-insulate            files share globals and loaded modules
  --auto-revert                 spies, stubs and formatters are taken back after each test
  --dontskip                    run the bodies of pending tests
  --suppress-pending            leave pending tests out

When they fail
  -bail, -skip, --no-keep-going stop at the first failure
  --retry=N                     try a failed test N times more (tests with #flaky: twice unless given)
  --timeout=SECONDS             stop a test, hook or body that takes longer (Lua then runs interpreted)
  --file-timeout=SECONDS        end the process that runs a file for longer
  --leaks=warn, --leaks=fail    tell of coroutines, sockets and programs that a test leaves behind
  --ci                          a snapshot that is missing is a failure
  --update-snapshots            take all snapshots again

What is reported
  -o, --output=FORMAT           gtest (default), plainTerminal, utfTerminal, TAP, tap14, json, jsonl, junit, github, or
                                a Lua file or module that is an output handler for busted
  -Xoutput A                    an argument for the output handler; split at commas
  -v, --verbose                 stacks of failures too, not only of errors
  --slowest=N                   list the N slowest tests
  --log-success=FILE            append the names of the tests that passed
  -c, --coverage                write lcov.info, cobertura.xml and a summary of the lines that were run
  --coverage-config-file=FILE   which files count (.luacov)
  -l LOG, -L LOG                enable, disable a log stream

Where things are
  -m, --lpath=PATH, --cpath=PATH
                                put before the Lua path, before that of C modules
  -f, --config-file=FILE, -r, --run=TASK
                                options from a task of this file (.busted, task default)
  -C, --directory=DIR           change to this directory first
  --version, -h, --help

busted's --lang, --loaders, --lua, --ignore-lua, --enable-sound and --defer-print are accepted and do nothing.
JUnit XML is written to $JUNIT_OUTPUT_FILE, or test_detail.xml; set to nothing, nowhere.
"""


class UsageError(Exception):
    """The command line, or an option in ``.busted``, cannot be used; the message says what of it."""


FLAGS = {
    "list", "keep-going", "dontskip", "suppress-pending", "verbose", "shuffle", "shuffle-files", "shuffle-tests",
    "sort", "sort-files", "sort-tests", "strict", "lazy", "auto-insulate", "recursive", "version", "help",
    "auto-revert", "update-snapshots", "ci", "only-failed", "watch", "coverage", "ignore-lua",
    "enable-sound", "defer-print",
}  # fmt: skip
LISTS = {
    "file", "helper", "tags", "exclude-tags", "filter", "filter-out", "name", "X", "Xhelper", "Xoutput", "enable-log",
    "disable-log", "statement", "pattern", "exclude-pattern", "directory", "loaders",
}  # fmt: skip
VALUES = LISTS | {
    "output", "timeout", "jobs", "file-timeout", "retry", "leaks", "slowest", "coverage-config-file", "lcov",
    "cobertura", "seed", "repeat", "lpath", "cpath", "config-file", "run", "exclude-names-file", "log-success", "lang",
    "lua",
}  # fmt: skip
SHORT = {
    "file": "file", "i": "helper", "tag": "tags", "t": "tags", "exclude-tag": "exclude-tags", "filter": "filter",
    "filter-out": "filter-out", "list": "list", "bail": "no-keep-going", "skip": "no-keep-going",
    "dontskip": "keep-going", "l": "enable-log", "L": "disable-log", "X": "X", "Xhelper": "Xhelper",
    "Xoutput": "Xoutput", "o": "output", "v": "verbose", "p": "pattern", "m": "lpath", "f": "config-file", "r": "run",
    "C": "directory", "e": "statement", "h": "help", "k": "keep-going", "c": "coverage", "j": "jobs", "R": "recursive",
    "s": "enable-sound",
}  # fmt: skip
SPLIT = {"tags", "exclude-tags", "Xhelper", "Xoutput", "loaders"}
"""Lists whose values may hold several, separated by commas."""
NAMES = {
    "file", "helper", "name", "X", "enable-log", "disable-log", "statement", "directory", "output", "leaks",
    "coverage-config-file", "lcov", "cobertura", "config-file", "run", "exclude-names-file", "log-success",
}  # fmt: skip
"""Options whose value is not to be empty."""
IDLE = {"lang", "loaders", "lua", "ignore-lua", "enable-sound", "defer-print"}
"""Options of busted that are accepted and do nothing."""
LANGUAGES = {"ar", "de", "en", "es", "fr", "is", "it", "ja", "nl", "pt-BR", "ro", "ru", "th", "ua", "zh"}


@dataclass
class Options:
    """The command line as it was given: lists for what may be repeated, None for what was not given."""

    values: dict[str, Any] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was asked for and does nothing, a line each."""

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)


def parse(argv: list[str]) -> Options:
    """Read a command line in either style.  Raises :exc:`UsageError`."""
    options = Options()
    rest = iter(argv)
    for word in rest:
        if word == "--":
            options.roots += rest
        elif not word:
            raise UsageError("the name of a file or directory is empty")
        elif not word.startswith("-") or word == "-":
            options.roots.append(word)
        else:
            _parse_option(options, word, rest)
    options.roots += options.get("file", [])
    return options


def _parse_option(options: Options, word: str, rest: Iterator[str]) -> None:
    if word[:2] == "-j" and word[2:].isdecimal():  # as for make
        word = f"--jobs={word[2:]}"
    shown, equals, value = word.partition("=")
    name = shown[2:] if word.startswith("--") else SHORT.get(shown[1:], "")
    positive = name.removeprefix("no-")
    if name in VALUES:
        if not equals:
            given = next(rest, None)
            if given is None:
                raise UsageError(f"{shown}: a value is expected")
            value = given
        _set(options, name, value, shown)
    elif name in FLAGS or (name.startswith("no-") and positive in FLAGS):
        if equals:
            raise UsageError(f"{shown}: takes no value")
        options.values[positive] = name in FLAGS
    else:
        raise UsageError(f"{shown}: no such option")


def _set(options: Options, name: str, value: str, shown: str) -> None:
    if name in NAMES and not value:
        raise UsageError(f"{shown}: a value is expected")
    if name == "X" and value.startswith("="):
        raise UsageError(f"{shown}: K or K=V is expected, got '{value}'")
    if name not in LISTS:
        options.values[name] = value
    elif name in SPLIT:
        parts = [each.strip().removeprefix("#") if "tags" in name else each for each in value.split(",") if each]
        options.values.setdefault(name, []).extend(parts)
    else:
        options.values.setdefault(name, []).append(value)


def merge(options: Options, settings: dict[str, Any], source: str) -> None:
    """Add to *options* what *settings* (of the file *source*) say and the command line left open.

    Options that do not exist are noted.  Raises :exc:`UsageError` for a value of the wrong type."""
    given = set(options.values)
    for key, value in settings.items():
        if key in ("ROOT", "root"):
            options.roots = options.roots or _texts(value, f"{source}: {key}")
            continue
        name = key.replace("_", "-")
        if name not in VALUES and name not in FLAGS:
            options.notes.append(f"{source}: '{key}' is not supported")
            continue
        if name in given:
            continue
        if name in FLAGS:
            if not isinstance(value, bool):
                raise UsageError(f"{source}: {key}: true or false is expected, got {_shown(value)}")
            options.values[name] = value
        else:
            for each in _texts(value, f"{source}: {key}"):
                _set(options, name, each, f"{source}: {key}")


def _texts(value: object, shown: str) -> list[str]:
    """A text, or those of a list; numbers are taken for texts."""
    values = value if isinstance(value, list) else [value]
    for each in values:
        if not isinstance(each, str | int | float) or isinstance(each, bool):
            raise UsageError(f"{shown}: text is expected, got {_shown(each)}")
    return [str(each) for each in values]


def _shown(value: object) -> str:
    """A value of a configuration, as Lua has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "a table" if isinstance(value, dict | list) else repr(value)
