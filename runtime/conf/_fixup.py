"""Value fix-up: what stands in the configuration becomes what a getter returns.  Manual: Environment substitutions.

``mtev_conf_value_fixup`` is the hook point; the substitution of environment variables is its first user.  A callback is
called with (section or None, path, :class:`Value`) and may assign ``value.text``; DONE and ABORT both end the chain and
leave the value as it then is.
"""

import os
import re
from typing import TYPE_CHECKING

from runtime import hooks

if TYPE_CHECKING:
    from lxml import etree

VALUE_FIXUP = hooks.declare("mtev_conf_value_fixup")

_ENVIRONMENT = re.compile(r"ENV:(.*):\{([^{}]+)\}", re.DOTALL)


class Value:
    """A value on its way to whoever asked; ``text`` is what callbacks read and replace, None for no value."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text: str | None = text


def fix_up(text: str, section: "etree._Element | None", path: str) -> str:
    """What *text*, found at *path* of *section*, stands for; nothing is an empty text."""
    return look_up(text, section, path) or ""


def look_up(text: str, section: "etree._Element | None", path: str) -> str | None:
    """The same; None when it stands for a value that is not there."""
    value = Value(text)
    VALUE_FIXUP.invoke(section, path, value)
    return value.text


def substitute_environment(_section: "etree._Element | None", _path: str, value: Value) -> int:
    """``ENV:default:{KEY}``, when it is the whole value, is KEY of the process environment, or the default."""
    if value.text is not None and value.text.startswith("ENV:"):
        match = _ENVIRONMENT.fullmatch(value.text)
        if match:
            default, key = match.groups()
            value.text = os.environ.get(key, default)
    return hooks.CONTINUE


VALUE_FIXUP.register("environment", substitute_environment)
