"""Routing: which handler serves a method and a path, and nothing else of a request.  Manual: REST.

Routes of the longest base that the path begins with come first, in the order they were made; then those of shorter
bases.  A base ends with a slash, and the expression sees what follows it.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any

from runtime import stats
from runtime.http.message.known import Known
from runtime.http.message.request import Request
from runtime.http.message.response import Response

Handler = Callable[[Request, Response], object]
Auth = Callable[[Request], bool]

_MOST_KNOWN = 4096


class Mountpoint:
    """One route.

    Attributes: ``method``, ``base``, ``expression`` (as bytes), ``handler``, ``auth``, ``aco`` (the handler may wait,
    in a greenlet of its own), ``stream`` (it reads bodies as they come), ``many``, what serves several requests at once
    and its number there, or None; ``latency``, a histogram of seconds from a request's first byte to its answer.
    Raises ValueError for a bad expression."""

    __slots__ = (
        "aco",
        "answers",
        "auth",
        "base",
        "expression",
        "handler",
        "latency",
        "many",
        "method",
        "name",
        "search",
        "stream",
    )

    def __init__(
        self,
        method: bytes,
        base: bytes,
        expression: bytes,
        handler: Handler,
        auth: Auth,
        aco: bool,
        many: tuple[Any, int] | None = None,
        stream: bool = False,
    ) -> None:
        import pcre2  # at the first mount, not at start

        self.method = method
        self.base = base
        self.expression = expression
        self.handler = handler
        self.auth = auth
        self.aco = aco
        self.many = many
        self.stream = stream
        name = f"{method.decode('latin-1')} {base.decode('utf-8', 'replace')} {expression.decode('utf-8', 'replace')}"
        self.name = name
        self.answers: dict[int, stats.Counter] = {}
        self.latency = stats.histogram("http_latency", {"route": name, "units": "seconds"})
        try:
            self.search: Any = pcre2.compile(expression).search
        except pcre2.LibraryError as bad:
            raise ValueError(f"bad regular expression {expression.decode('utf-8', 'replace')!r}: {bad}") from None

    def answered(self, status_class: int, count: int) -> None:
        """Count *count* answers of a class of status, 2 for 200 to 299."""
        counter = self.answers.get(status_class)
        if counter is None:
            counter = self.answers[status_class] = answers(self.name, status_class)
        counter.add(count)

    def __repr__(self) -> str:
        return f"<Mountpoint {self.method.decode()} {self.base.decode()} {self.expression.decode('utf-8', 'replace')}>"


def answers(route: str, status_class: int) -> stats.Counter:
    """The counter of answers of *route* in a class of status."""
    return stats.counter("http_requests", {"route": route, "class": f"{status_class}xx"})


Captures = tuple[bytes | None, ...]
Found = tuple[Mountpoint | None, Captures, tuple[bytes, ...]]
"""The route and what its expression caught; without a route, the methods that the path has."""


class Router:
    """A set of routes.  Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._bases: dict[bytes, tuple[Mountpoint, ...]] = {}
        self._known: Known[tuple[bytes, bytes], Found] = Known(_MOST_KNOWN)
        self._lock = Lock()

    @property
    def mountpoints(self) -> list[Mountpoint]:
        """All routes, base by base."""
        return [each for routes in self._bases.values() for each in routes]

    def add(self, route: Mountpoint) -> None:
        """Append *route* to those of its base."""
        with self._lock:
            self._bases = {**self._bases, route.base: (*self._bases.get(route.base, ()), route)}
            self._known = Known(_MOST_KNOWN)

    def remove(self, route: Mountpoint) -> bool:
        """Take *route* out; False when it is not in."""
        with self._lock:
            routes = self._bases.get(route.base, ())
            self._bases = {**self._bases, route.base: tuple(each for each in routes if each is not route)}
            self._known = Known(_MOST_KNOWN)
        return route in routes

    def find(self, method: bytes, path: bytes) -> Found:
        """The route for *method* and *path*, a path without query string.  HEAD falls back on GET."""
        known = self._known
        key = (method, path)
        found = known.get(key)
        if found is None:
            found = self._search(method, path)
            if method == b"HEAD" and found[0] is None:
                found = self._search(b"GET", path)
            known.keep(key, found, len(path))
        return found

    def _search(self, method: bytes, path: bytes) -> Found:
        others: list[bytes] = []
        end = path.rfind(b"/")
        while end >= 0:
            routes = self._bases.get(path[: end + 1])
            if routes:
                rest = path[end + 1 :]
                for route in routes:
                    match = route.search(rest) if route.method == method or route.method not in others else None
                    if match is not None:
                        if route.method == method:
                            return route, match.groups(), ()
                        others.append(route.method)
            end = path.rfind(b"/", 0, end)
        if b"GET" in others and b"HEAD" not in others:
            others.append(b"HEAD")
        return None, (), tuple(others)


def base_of(base: bytes) -> bytes:
    """*base* with the slash that it ends with.  Raises ValueError when it does not begin with one."""
    if not base.startswith(b"/"):
        raise ValueError(f"a base begins with a slash, not {base.decode('utf-8', 'replace')!r}")
    return base if base.endswith(b"/") else base + b"/"
