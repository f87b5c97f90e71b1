"""The configuration as Lua sees it: typed values by XPath."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import LuaError
from runtime import conf, log

if TYPE_CHECKING:
    from luamtev.port import Port


_INTEGER = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MOST = 2**63


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/conf.lua`` builds on."""
    return {
        "conf_get": conf_get,
        "conf_set": conf_set,
        "conf_replace": conf_replace,
        "conf_get_string_list": conf_get_string_list,
        "conf_save": lambda: conf.current().save_quietly(),
        "conf_mark_changed": lambda: conf.current().mark_changed(),
    }


def conf_get(kind: bytes, path: bytes) -> str | int | float | bool | None:
    """The value at *path* as *kind* (string, integer, boolean, number); None when there is none, or no boolean.

    Of a text that is no number as a whole the beginning counts, as for C: ``12abc`` is 12, ``abc`` is 0."""
    current = conf.current()
    try:
        if kind == b"boolean":
            return current.get_boolean(_text(path))
        value = current.get_string(_text(path))
    except conf.ConfError as unusable:
        log.stream_find("debug/conf").log(f"{unusable}\n")
        return None
    if value is None or kind == b"string":
        return value
    return leading_integer(value) if kind == b"integer" else leading_number(value)


def leading_integer(text: str) -> int:
    """The integer that *text* begins with: decimal, octal after ``0``, hexadecimal after ``0x``; 0 when there is none.

    What 64 bits cannot hold is the nearest they can (C's strtoll)."""
    found = _INTEGER.match(text)
    if found is None:
        return 0
    sign, digits = found.groups()
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
    value = int(digits, base)
    return max(-value, -_MOST) if sign == "-" else min(value, _MOST - 1)


def leading_number(text: str) -> float:
    """The number that *text* begins with; 0 when there is none (C's strtod)."""
    found = _NUMBER.match(text)
    return float(found[0]) if found else 0.0


def conf_set(path: bytes, value: bytes) -> bool:
    """Set the element or attribute that *path* ends in; False when its base does not exist.

    Raises :exc:`LuaError` for a path or a text that cannot be."""
    try:
        return conf.current().set_string(_text(path), _text(value))
    except conf.ConfError as mistake:
        raise LuaError(str(mistake)) from None


def conf_replace(path: bytes, value: bytes) -> bool:
    """Delete every match of *path*, then set it; False when its base does not exist.

    Raises :exc:`LuaError` for a path or a text that cannot be."""
    try:
        return conf.current().replace_string(_text(path), _text(value))
    except conf.ConfError as mistake:
        raise LuaError(str(mistake)) from None


def conf_get_string_list(base: bytes, child: bytes) -> list[str] | None:
    """The text of *child* in every match of *base*; None when *base* matches nothing.

    Raises :exc:`LuaError` for a path that is none."""
    try:
        return conf.current().get_string_list(_text(base), _text(child)) or None
    except conf.ConfError as mistake:
        raise LuaError(str(mistake)) from None


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as broken:
        raise LuaError(f"configuration is UTF-8 text, byte {broken.start + 1} of {value!r} is not") from None
