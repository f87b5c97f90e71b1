"""Listeners and the connections they accept.  Manual: Listeners.

A listener's type is the name of an eventer callback (:func:`runtime.eventer.name_callback`).  For each connection that
callback gets an event of its own, whose closure is a :class:`Connection`; it is called first when the socket is
writable, returns the next mask, and closes the connection when it is done.
"""

from ._commands import commands, may, register_command, set_fallback, set_guard
from ._conf import listen
from ._connection import Connection, connections
from ._errors import NetError
from ._listener import Listener, arriving, check_config, listeners, open_listener, start, stop_accepting

__all__ = [
    "Connection",
    "Listener",
    "NetError",
    "arriving",
    "check_config",
    "commands",
    "connections",
    "listen",
    "listeners",
    "may",
    "mistakes",
    "open_listener",
    "register_command",
    "set_fallback",
    "set_guard",
    "start",
    "stop_accepting",
]
