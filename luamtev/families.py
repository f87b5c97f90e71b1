"""The families of ``mtev.*``: whoever writes one enters it here, and its Lua half in ``lua/init.lua``."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from luamtev.port import Port

_FAMILIES = tuple(
    import_module(f"luamtev.api.{name}")
    for name in (
        "addresses",
        "bignum",
        "cluster",
        "conf",
        "consul",
        "crypto",
        "digests",
        "dns",
        "encodings",
        "files",
        "gunzip",
        "hooks",
        "log",
        "messages",
        "pcre",
        "process",
        "repl",
        "reverse",
        "runtime",
        "shared",
        "sockets",
        "stopping",
        "system",
        "text",
        "timezone",
        "tls",
        "trace",
        "watch",
        "websocket",
        "xml",
        "zipkin",
    )
)


def functions(state: Port) -> dict[str, Callable[..., Any]]:
    """What the Lua halves of all of them build on, for *state*, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for family in _FAMILIES:
        found |= family.functions(state)
    return found
