"""Names of HTML entities, for Lua.  Manual: mtev.utf8tohtml."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luamtev.port import Port


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/text.lua`` builds on."""
    return {"html_entities": html_entities}


def html_entities() -> dict[int, str]:
    """The names of HTML 4 by code point."""
    from html.entities import codepoint2name

    return codepoint2name
