"""The commands of the program, and what it is called.  Manual: Console, mtev_console_init."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._grammar import Completer, Function, Level, Registry

_registry: "Registry | None" = None
_application = "mtev"
_loaders: list[str] = []

PROMPT_SIZE = 31
"""Characters of a prompt."""


def init(application: str) -> None:
    """Call the program *application* in prompts.  Manual: ``mtev_console_init``."""
    global _application
    _application = application


def application() -> str:
    """What the program is called."""
    return _application


def registry() -> "Registry":
    """The commands, made at first use: few programs have a console."""
    global _registry
    if _registry is None:
        from . import commands
        from ._grammar import Registry

        _registry = Registry()
        _registry.top.inside = lambda _console: f"{_application[: PROMPT_SIZE - 2]}# "
        commands.install(_registry)
        while _loaders:
            _load(_loaders.pop(0))
    return _registry


def top() -> "Level":
    """The level that a console begins in."""
    return registry().top


def register_command(path: str, function: "Function", *, complete: "Completer | None" = None, about: str = "") -> None:
    """Have the words *path*, such as ``show sessions``, run ``function(console, words)`` on every console.

    It is called on the console's loop thread, may not block, and prints with ``console.print(text)``; an answer that
    comes later it takes with ``console.later(then)``.  *complete*, called with the words behind, gives what may stand
    for the last of them.  *about* is what ``help`` says.  Raises ValueError for a path below a command, or none.
    Manual: ``mtev_console_state_add_cmd``."""
    registry().add(path, function, complete=complete, about=about)


def register_later(target: str) -> None:
    """Have the function *target*, ``package.module:function``, called when the first console wants its commands."""
    if _registry is None:
        _loaders.append(target)
    else:
        _load(target)


def _load(target: str) -> None:
    import importlib

    module, _, function = target.partition(":")
    getattr(importlib.import_module(module), function)()
