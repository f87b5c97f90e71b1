"""Filters on outlets: a logical expression that each line is held against.  Manual: Logging, outlet filter.

    expression  = and(expression, ...) | or(expression, ...) | not(expression) | exists(field) | field op value
    op          = "=" | "!=" | "~" | "!~" | "<" | "<=" | ">" | ">="
    field       = name | quoted text
    value       = quoted text | number

Quoted text is in single or double quotes, with the escapes \\n \\t \\\\ \\' \\" and \\ooo.  Against quoted text a field
is compared as text, against a number as a number; ``~`` looks for a regular expression.  A field that is missing, or
that is no number where one is needed, makes its predicate false.
"""

import operator
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final, Protocol

from ._base import LogError


class Fields(Protocol):
    """What a filter is held against: a line of a log."""

    def field(self, name: str) -> object:
        """The value of a field, None where there is none."""


Predicate = Callable[[Fields], bool]

_ESCAPE: Final = re.compile(r"\\([0-7]{1,3}|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DEEPEST: Final = 100  # parentheses


@cache
def _token() -> "re.Pattern[str]":
    return re.compile(
        r"""\s*(?:
      (?P<name>[A-Za-z_][A-Za-z0-9_.:-]*)
    | (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | '(?P<single>(?:[^'\\]|\\.)*)'
    | (?P<sign><=|>=|!=|!~|[=~<>(),])
    | (?P<end>$)
    )""",
        re.VERBOSE | re.DOTALL,
    )


class Filter:
    """A compiled filter; calling it with a line tells whether the line passes."""

    def __init__(self, text: str) -> None:
        """Raises :exc:`LogError` with the position, counted from 1, of what cannot be understood."""
        self.text = text
        self._passes = _Parser(text).whole()

    def __call__(self, line: Fields) -> bool:
        return self._passes(line)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.kind = self.value = ""
        self.start = self.stop = 0
        self.next()

    def fail(self, expected: str) -> LogError:
        at = self.start
        rest = self.text[at : at + 20]
        return LogError(f"filter, character {at + 1}: expected {expected}, got {f'{rest!r}' if rest else 'the end'}")

    def next(self) -> None:
        found = _token().match(self.text, self.stop)
        if found is None:
            self.start = self.stop + len(self.text[self.stop :]) - len(self.text[self.stop :].lstrip())
            raise self.fail("a field, a value or an operator")
        self.kind = found.lastgroup or "end"
        self.value = found[self.kind]
        self.start, self.stop = found.end() - len(found[0].lstrip()), found.end()

    def take(self, sign: str) -> bool:
        if self.kind == "sign" and self.value == sign:
            self.next()
            return True
        return False

    def whole(self) -> Predicate:
        passes = self.expression(0)
        if self.kind != "end":
            raise self.fail("the end")
        return passes

    def expression(self, depth: int) -> Predicate:
        if depth > _DEEPEST:
            raise self.fail(f"at most {_DEEPEST} parentheses within each other")
        if self.kind not in ("name", "double", "single"):
            raise self.fail("a predicate")
        word, quoted = self.text_value(), self.kind != "name"
        self.next()
        if quoted or not self.take("("):
            return self.comparison(word)
        if word == "exists":
            if self.kind not in ("name", "double", "single"):
                raise self.fail("a field")
            field = self.text_value()
            self.next()
            self.close()
            return lambda line: line.field(field) is not None
        if word not in ("and", "or", "not"):
            self.start -= 1
            raise self.fail("and(, or(, not( or exists( before a parenthesis")
        terms = [self.expression(depth + 1)]
        while word != "not" and self.take(","):
            terms.append(self.expression(depth + 1))
        self.close()
        if word == "not":
            return lambda line: not terms[0](line)
        every = all if word == "and" else any
        return lambda line: every(term(line) for term in terms)

    def close(self) -> None:
        if not self.take(")"):
            raise self.fail("',' or ')'")

    def comparison(self, field: str) -> Predicate:
        sign = self.value
        if self.kind != "sign" or sign in "(),":
            raise self.fail("an operator")
        self.next()
        if self.kind == "number" and sign in _ORDER:
            number = float(self.value)
            self.next()
            return _numerically(field, _ORDER[sign], number)
        if self.kind not in ("double", "single"):
            raise self.fail("quoted text" if sign not in _ORDER else "quoted text or a number")
        text = self.text_value()
        if sign in _ORDER:
            self.next()
            return _as_text(field, _ORDER[sign], text)
        try:
            pattern = re.compile(text)
        except (re.error, OverflowError, RecursionError) as bad:
            raise LogError(f"filter, character {self.start + 1}: {text!r} is no regular expression: {bad}") from None
        self.next()
        return _matching(field, pattern, sign == "~")

    def text_value(self) -> str:
        return self.value if self.kind == "name" else _ESCAPE.sub(_unescape, self.value)


def _unescape(found: "re.Match[str]") -> str:
    escaped = found[1]
    if escaped[0] in "01234567":
        return chr(int(escaped, 8) & 0xFF)
    return _ESCAPES.get(escaped, "\\" + escaped)  # a backslash that escapes nothing is itself


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _as_text(field: str, compare: Callable[[Any, Any], bool], text: str) -> Predicate:
    def passes(line: Fields) -> bool:
        value = line.field(field)
        return value is not None and compare(_text(value), text)

    return passes


def _numerically(field: str, compare: Callable[[Any, Any], bool], number: float) -> Predicate:
    def passes(line: Fields) -> bool:
        value = line.field(field)
        if value is None:
            return False
        try:
            return compare(value if isinstance(value, (int, float)) else float(_text(value)), number)
        except ValueError:
            return False

    return passes


def _matching(field: str, pattern: "re.Pattern[str]", wanted: bool) -> Predicate:
    def passes(line: Fields) -> bool:
        value = line.field(field)
        return value is not None and (pattern.search(_text(value)) is not None) is wanted

    return passes
