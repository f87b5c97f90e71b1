"""Regular expressions where Lua finds no PCRE2 library to call: the pcre2 package, many matches a crossing.

Offsets are bytes.  A search goes on in the rest of the subject as if that were the whole.  Manual: mtev.pcre.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from luamtev.bridge import Handles

if TYPE_CHECKING:
    from luamtev.port import Port

ERROR_STACK = -46
"""The machine code form of a pattern ran out of its stack."""


class Expression:
    """An expression, compiled once for each pair of limits."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.compiled: dict[tuple[int, int, bool], Any] = {}
        self.groups: int = self.with_limits(0, 0, True).groups

    def with_limits(self, limit: int, depth: int, jit: bool) -> Any:
        """The pattern that gives up after *limit* match calls or *depth* levels; 0: the library's own limits."""
        found = self.compiled.get((limit, depth, jit))
        if found is None:
            if len(self.compiled) > 8:
                self.compiled.clear()
            prefix = (b"(*LIMIT_MATCH=%d)" % limit if limit else b"") + (b"(*LIMIT_DEPTH=%d)" % depth if depth else b"")
            found = self.compiled[limit, depth, jit] = _pcre2().compile(prefix + self.source, jit=jit)
        return found

    def first(self, subject: bytes, not_empty: bool, limit: int, depth: int) -> Any:
        """The first match, or None; with *not_empty* it may not be empty at the start.  A limit that is reached is
        no match either."""
        refused = _pcre2().LibraryError
        jit = not depth  # the machine code form of a pattern knows no depth
        while True:
            try:
                for found in self.with_limits(limit, depth, jit).finditer(subject):
                    if not (not_empty and found.end() == 0):
                        return found
                return None
            except refused as reached:
                if reached.code != ERROR_STACK:
                    return None
                jit = False


@cache
def _pcre2() -> Any:
    return import_module("pcre2")


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/pcre_package.lua`` builds on."""
    expressions: Handles[Expression] = Handles()

    def pcre_compile(source: bytes) -> tuple[Any, ...]:
        pcre2 = _pcre2()
        try:
            made = Expression(source)
        except pcre2.PatternError as mistake:
            return None, mistake.msg.partition("; ")[2], int(mistake.pos)
        except pcre2.LibraryError as mistake:
            return None, mistake.msg, 0
        return expressions.add(made), made.groups, None

    def pcre_search(
        handle: int, subject: bytes, start: int, after_empty: bool, most: int, limit: int, depth: int
    ) -> list[int]:
        """The spans of up to *most* matches from *start*, -1 for a group that took no part, flat."""
        expression = expressions[handle]
        spans: list[int] = []
        at, empty = int(start), after_empty
        for _ in range(int(most)):
            found = expression.first(subject[at:], empty, int(limit), int(depth))
            if found is None:
                break
            base, end = at, found.end()
            for group in range(expression.groups + 1):
                first, last = found.span(group)
                spans += (first + base, last + base) if first >= 0 else (-1, -1)
            at, empty = base + end, found.start() == end
        return spans

    def pcre_release(handle: int) -> None:
        expressions.pop(handle)

    return {"pcre_compile": pcre_compile, "pcre_search": pcre_search, "pcre_release": pcre_release}
