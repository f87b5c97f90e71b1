"""The console: a command line into a running process, over TCP, WebSocket or its own terminal.  Manual: Console.

Programs add commands with :func:`register_command`.  Only what registering takes is imported here.
"""

from typing import TYPE_CHECKING

from runtime import late

from ._registry import application, init, register_command, register_later, registry

_LATE = {
    "_console": ("DISPATCH", "Console", "find"),
    "_grammar": ("Command", "Level"),
    "_mount": ("mount",),
    "_stdio": ("start_on_terminal",),
    "commands.configure": ("register_parameter",),
}

if TYPE_CHECKING:
    from ._console import *
    from ._grammar import *
    from ._mount import *
    from ._stdio import *
    from .commands.configure import *
else:
    __getattr__ = late.names(__name__, _LATE)

__all__ = ["application", "init", "register_command", "register_later", "registry", *late.listed(_LATE)]
