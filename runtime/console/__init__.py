"""The console: a command line into a running process, over TCP, WebSocket or its own terminal.  Manual: Console.

Programs add commands with :func:`register_command`.  Only what registering takes is imported here.
"""

from typing import TYPE_CHECKING, Any

from ._registry import application, init, register_command, register_later, registry

if TYPE_CHECKING:
    from ._console import DISPATCH, Console, find
    from ._grammar import Command, Level
    from ._mount import mount
    from ._stdio import start_on_terminal
    from .commands.configure import register_parameter

_LAZY = {
    "DISPATCH": "_console",
    "Command": "_grammar",
    "Console": "_console",
    "Level": "_grammar",
    "mount": "_mount",
    "find": "_console",
    "register_parameter": "commands.configure",
    "start_on_terminal": "_stdio",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    return value


__all__ = [
    "DISPATCH",
    "Command",
    "Console",
    "Level",
    "application",
    "find",
    "init",
    "mount",
    "register_command",
    "register_later",
    "register_parameter",
    "registry",
    "start_on_terminal",
]
