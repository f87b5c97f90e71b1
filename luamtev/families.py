"""The families of ``mtev.*``: whoever writes one enters it here, and its Lua half in ``lua/init.lua``."""

from collections.abc import Callable
from typing import Any

from luamtev.api import (
    addresses,
    bignum,
    cluster,
    conf,
    consul,
    crypto,
    digests,
    dns,
    encodings,
    files,
    gunzip,
    hooks,
    log,
    messages,
    pcre,
    process,
    repl,
    reverse,
    runtime,
    shared,
    sockets,
    stopping,
    system,
    text,
    timezone,
    tls,
    trace,
    watch,
    websocket,
    xml,
    zipkin,
)
from luamtev.port import Port

_FAMILIES = (
    addresses,
    bignum,
    cluster,
    conf,
    consul,
    crypto,
    digests,
    dns,
    encodings,
    files,
    gunzip,
    hooks,
    log,
    messages,
    pcre,
    process,
    repl,
    reverse,
    runtime,
    shared,
    sockets,
    stopping,
    system,
    text,
    timezone,
    tls,
    trace,
    watch,
    websocket,
    xml,
    zipkin,
)


def functions(state: Port) -> dict[str, Callable[..., Any]]:
    """What the Lua halves of all of them build on, for *state*, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for family in _FAMILIES:
        found |= family.functions(state)
    return found
