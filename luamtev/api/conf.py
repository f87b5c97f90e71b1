"""The configuration as Lua sees it: typed values by XPath."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luamtev.bridge import LuaError
from runtime import conf, log

if TYPE_CHECKING:
    from luamtev.state import State


def functions(_state: "State") -> dict[str, Callable[..., Any]]:
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
    """The value at *path* as *kind* (string, integer, boolean, number); None when there is none of that kind."""
    current = conf.current()
    getter: Callable[[str], Any] = {
        b"string": current.get_string,
        b"integer": current.get_integer,
        b"boolean": current.get_boolean,
        b"number": current.get_float,
    }[kind]
    try:
        value: str | int | float | bool | None = getter(_text(path))
    except conf.ConfError as unusable:
        log.stream_find("debug/conf").log(f"{unusable}\n")
        return None
    return value


def conf_set(path: bytes, value: bytes) -> bool:
    """Set the element or attribute that *path* ends in; False when its base does not exist."""
    try:
        return conf.current().set_string(_text(path), _text(value))
    except conf.ConfError as mistake:
        raise LuaError(str(mistake)) from None


def conf_replace(path: bytes, value: bytes) -> bool:
    """Delete every match of *path*, then set it; False when its base does not exist."""
    try:
        return conf.current().replace_string(_text(path), _text(value))
    except conf.ConfError as mistake:
        raise LuaError(str(mistake)) from None


def conf_get_string_list(base: bytes, child: bytes) -> list[str] | None:
    """The text of *child* in every match of *base*; None when *base* matches nothing."""
    try:
        return conf.current().get_string_list(_text(base), _text(child)) or None
    except conf.ConfError as mistake:
        raise LuaError(str(mistake)) from None


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as broken:
        raise LuaError(f"configuration is UTF-8 text, byte {broken.start + 1} of {value!r} is not") from None
