"""Lines of a console as words, and the ranges of ``apply``.  Knows nothing of commands."""

import ipaddress
import re
from collections.abc import Iterator

MOST_WORDS = 2048
MOST_ADDRESSES = 256
MOST_NUMBERS = 65536

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "v": "\v", "f": "\f", "0": "\0"}


class LineError(Exception):
    """A line that is no command; the message is for whoever typed it."""


def split(line: str) -> list[str]:
    """The words of *line*: separated by blanks; one that begins with a quote ends with it.

    Between double quotes a backslash escapes, between single quotes it does not, elsewhere it keeps a blank.
    Raises :exc:`LineError` for a quote that is not closed, and for too many words."""
    words: list[str] = []
    at, end = 0, len(line)
    while True:
        while at < end and line[at].isspace():
            at += 1
        if at == end:
            return words
        if len(words) == MOST_WORDS:
            raise LineError("Command length too long.")
        word, at = _quoted(line, at) if line[at] in "\"'" else _bare(line, at)
        words.append(word)


def _quoted(line: str, at: int) -> tuple[str, int]:
    quote = line[at]
    kept: list[str] = []
    at += 1
    while at < len(line):
        character = line[at]
        if character == quote:
            return "".join(kept), at + 1
        if character == "\\" and quote == '"' and at + 1 < len(line):
            at += 1
            character = _ESCAPES.get(line[at], line[at])
        kept.append(character)
        at += 1
    raise LineError(f"Error at offset: {len(line) + 1}")


def _bare(line: str, at: int) -> tuple[str, int]:
    kept: list[str] = []
    while at < len(line) and not line[at].isspace():
        if line.startswith("\\ ", at):
            at += 1
        kept.append(line[at])
        at += 1
    return "".join(kept), at


class RangeError(Exception):
    """A range of ``apply`` that is none; the message says why."""


_NUMBERS = re.compile(r"(?:(-?\d{1,18}),)?(-?\d{1,18})\.\.(-?\d{1,18})")
_LIST = re.compile(r"-?\d{1,18}(?:,-?\d{1,18})+")


def expand(text: str) -> list[str]:
    """The items of a range: ``A..B``, ``A,N..B`` in steps of N - A, ``1,4,9``, ``NET/LEN`` (hosts), ``full:NET/LEN``.

    Raises :exc:`RangeError`."""
    if _LIST.fullmatch(text):
        return text.split(",")
    numbers = _NUMBERS.fullmatch(text)
    if numbers:
        return [str(each) for each in _numbers(*numbers.groups())]
    full = text.startswith("full:")
    address, slash, length = text.removeprefix("full:").partition("/")
    if not slash:
        raise RangeError("cannot understand range")
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        raise RangeError("could not parse IP address") from None
    if not length.isdecimal() or int(length) > 32:
        raise RangeError("invalid netmask")
    network = ipaddress.IPv4Network(f"{address}/{length}", strict=False)
    if network.num_addresses > MOST_ADDRESSES:
        raise RangeError(f"more than {MOST_ADDRESSES} addresses")
    return [str(each) for each in (network if full else network.hosts())]


def _numbers(first: str | None, start: str, stop: str) -> Iterator[int]:
    begin, end = int(start if first is None else first), int(stop)
    step = (1 if end >= begin else -1) if first is None else int(start) - begin
    if step == 0 or (end - begin) * step < 0:
        raise RangeError("mixed up sequence")
    if abs(end - begin) // abs(step) >= MOST_NUMBERS:
        raise RangeError(f"more than {MOST_NUMBERS} items")
    return iter(range(begin, end + (1 if step > 0 else -1), step))
