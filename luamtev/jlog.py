"""The program luamtev-jlog: reads a jlog from the shell, says what is in it, and repairs one that a crash has torn.

Reading changes nothing: no subscriber's checkpoint, no file.  Exit status: 0; 1 for a jlog that cannot be read or
written, with one line that says why; 2 for a command line that cannot be used.
"""

import argparse
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from runtime import jlog
from runtime.jlog import Id, JlogError, Message

INTERVAL = 0.2
"""Seconds between two looks of ``tail -f``."""

MOST = 1_000_000_000
"""Messages that ``tail`` may be asked for."""


class _Parser(argparse.ArgumentParser):
    """Tells a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"luamtev-jlog: {message}; {self.prog} --help lists the options\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command line *argv*, the process's own by default; returns the exit status."""
    arguments = _parser().parse_args(argv)
    if sys.stdout is None:
        sys.stderr.write("luamtev-jlog: standard output is closed\n")
        return 1
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except JlogError as failure:
        sys.stderr.write(f"luamtev-jlog: {failure}\n")
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads on, as behind `| head`
    except OSError as failure:
        sys.stderr.write(f"luamtev-jlog: {failure.filename or 'standard output'}: {failure.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left goes nowhere
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("luamtev-jlog", description="Reads journals of log streams of type jlog.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, does: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=does, description=does)
        made.set_defaults(run=globals()[name])
        made.add_argument("directory", metavar="DIRECTORY", type=_directory, help="the jlog")
        return made

    for name, does in (("cat", "print every message"), ("tail", "print the last messages")):
        made = command(name, does)
        made.add_argument("-t", "--times", action="store_true", help="before each its id and its time (UTC)")
        if name == "cat":
            made.add_argument("-s", "--subscriber", metavar="NAME", help="only what that subscriber has not consumed")
        else:
            made.add_argument("-n", "--lines", metavar="N", type=_count, default=10, help="so many of them (10)")
            made.add_argument("-f", "--follow", action="store_true", help="go on with those that come")
    command("info", "print segments, subscribers and how far they are")
    command("repair", "drop what a crash has torn; nobody may write to the jlog meanwhile")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > len(str(MOST)) or int(text) > MOST:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of messages up to {MOST}")
    return int(text)


def _directory(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("a name that is empty is no jlog's")
    return text


def cat(arguments: argparse.Namespace) -> None:
    """Print every message, or those that a subscriber has not consumed.

    Raises :exc:`runtime.jlog.JlogError` for a subscriber that is not there."""
    after = jlog.START
    if arguments.subscriber is not None:
        known = jlog.subscribers(arguments.directory)
        if arguments.subscriber not in known:
            there = ", ".join(sorted(known)) or "none"
            raise JlogError(f"jlog {arguments.directory}: there is no subscriber '{arguments.subscriber}', but {there}")
        after = known[arguments.subscriber]
    for message in _all(arguments.directory, after):
        _print(message, arguments.times)


def tail(arguments: argparse.Namespace) -> None:
    """Print the last messages, and with ``-f`` those that come."""
    if not arguments.follow:
        for message in deque(_all(arguments.directory, jlog.START), arguments.lines):
            _print(message, arguments.times)
        return
    place = jlog.START
    recent = deque(jlog.messages(arguments.directory), max(arguments.lines, 1))
    if recent:
        place = recent[-1].id
    for message in list(recent)[len(recent) - min(arguments.lines, len(recent)) :]:
        _print(message, arguments.times)
    while True:
        sys.stdout.flush()
        time.sleep(INTERVAL)
        for message in jlog.messages(arguments.directory, place):
            place = message.id
            _print(message, arguments.times)


def _all(directory: str, after: Id) -> Iterator[Message]:
    yield from jlog.messages(directory, after)
    for message in jlog.waiting(directory):
        if message.id > after:
            yield message


def info(arguments: argparse.Namespace) -> None:
    """Print segments, subscribers and how far they are."""
    meta = jlog.metastore(arguments.directory)
    rows = jlog.figures(arguments.directory)
    total = sum(count for _, _, count, _ in rows)
    waiting = sum(1 for _ in jlog.waiting(arguments.directory))
    form = "plain" if meta.magic == jlog.PLAIN else "compressed (lz4)"
    safety = {jlog.UNSAFE: "unsafe", jlog.ALMOST_SAFE: "almost safe", jlog.SAFE: "safe"}.get(meta.safety, meta.safety)
    _say(f"{form}, segments of {meta.unit_limit} bytes, {safety}; written: {meta.storage_log:08x}")
    size = sum(each for _, each, _, _ in rows)
    _say(f"{total} messages in {len(rows)} segments, {size} bytes, {waiting} not in one yet")
    for number, size, count, torn in rows:
        _say(f"segment {number:08x}  {count} messages  {size} bytes" + (f"  {torn} torn" if torn else ""))
    for name, place in sorted(jlog.subscribers(arguments.directory).items()):
        behind = sum(
            max(0, count - (place.marker if number == place.log else 0))
            for number, _, count, _ in rows
            if number >= place.log
        )
        _say(f"subscriber {name}  at {place}  {behind} messages behind")


def repair(arguments: argparse.Namespace) -> None:
    """Drop what a crash has torn."""
    _say(f"{jlog.repair(Path(arguments.directory))} bytes dropped")


def _print(message: Message, times: bool) -> None:
    if times:
        seconds, rest = divmod(message.when, 1_000_000_000)
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        sys.stdout.buffer.write(f"{message.id} {when}.{rest // 1000:06d}Z ".encode())
    sys.stdout.buffer.write(message.data if message.data.endswith(b"\n") else message.data + b"\n")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
