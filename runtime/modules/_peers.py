"""What modules that talk to peers have in common: settings as they are written, and what waits while nobody listens."""

import re
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from threading import Lock
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit, urlunsplit

T = TypeVar("T")

LONGEST_HOST: Final = 253
"""Bytes of the name of a host.  RFC 1035, 2.3.4."""


def number(config: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """The whole number *name* of *config*.  Raises ValueError naming it when it is none between *least* and *most*."""
    text = config.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
        raise ValueError(f"{name}: expected a number from {least} to {most}, got {text!r}")
    return int(text)


def text(config: Mapping[str, str], name: str, default: str, most: int, least: int = 1) -> str:
    """The text *name* of *config*.  Raises ValueError naming it, and not its value, when it has fewer than *least* or
    more than *most* bytes."""
    found = config.get(name, default)
    length = len(found.encode("utf-8", "surrogateescape"))
    if not least <= length <= most:
        raise ValueError(f"{name}: expected {least} to {most} bytes, got {length}")
    return found


def url(config: Mapping[str, str], name: str, default: str) -> str:
    """The URL *name* of *config*, of HTTP with a host.  Raises ValueError naming it when it is none, and not its value,
    which may hold a password."""
    found = config.get(name, default)
    try:
        parts = urlsplit(found)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine or not found.isprintable() or " " in found:
        raise ValueError(f"{name}: expected http:// or https:// and a host, such as {default}")
    return found


def shown(address: str) -> str:
    """The URL *address* as logs may have it: without user and password."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class Backoff:
    """How long to wait before the next try: *least* seconds, twice as long each time, up to *most*."""

    def __init__(self, least: float, most: float) -> None:
        self.least = least
        self.most = most
        self._next = least

    def next(self) -> float:
        """Seconds, for now."""
        now, self._next = self._next, min(self.most, self._next * 2)
        return now

    def reset(self) -> None:
        """It worked."""
        self._next = self.least


class Backlog(Generic[T]):
    """What is to be sent and was not yet, up to *limit* bytes.  From any thread.

    ``dropped`` counts what came when there was no room."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.dropped = 0
        self._kept: deque[tuple[T, int]] = deque()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, one: T, size: int) -> bool:
        """Append *one*; False, and it is dropped, when *size* bytes more are too many.  One alone always has room."""
        with self._lock:
            if self.bytes and self.bytes + size > self.limit:
                self.dropped += 1
                return False
            self.bytes += size
            self._kept.append((one, size))
        return True

    def put_back(self, given: list[tuple[T, int]]) -> None:
        """Put what was taken out in front again, with its sizes, whether there is room or not."""
        with self._lock:
            self._kept.extendleft(reversed(given))
            self.bytes += sum(size for _, size in given)

    def peek(self, size: int) -> list[T]:
        """The oldest, *size* bytes or one at the least; they stay until :meth:`sent`."""
        found: list[T] = []
        with self._lock:
            for one, length in self._kept:
                found.append(one)
                size -= length
                if size <= 0:
                    break
        return found

    def after(self, start: int, count: int) -> list[T]:
        """Up to *count* of those behind the oldest *start*; they stay until :meth:`sent`."""
        with self._lock:
            return [one for one, _ in islice(self._kept, start, start + count)]

    def remove(self, hopeless: Callable[[T], bool]) -> int:
        """Take out those that are *hopeless*; how many."""
        with self._lock:
            kept = [each for each in self._kept if not hopeless(each[0])]
            count = len(self._kept) - len(kept)
            self._kept = deque(kept)
            self.bytes = sum(size for _, size in kept)
        return count

    def sent(self, count: int) -> None:
        """The oldest *count* are gone."""
        with self._lock:
            for _ in range(count):
                self.bytes -= self._kept.popleft()[1]
