"""The watchdog: a process that starts the server, watches its heartbeats, and starts it again.  Manual: Watchdog.

The server is forked before there is any thread.  Each of its loop threads beats a heart in memory that both processes
share; when one falls silent for longer than its timeout, the monitor takes a trace, kills the server and forks it anew.
"""

from ._death import bind_again
from ._hearts import (
    Heart,
    came_up,
    child_heartbeat,
    create,
    default_timeout,
    is_up,
    prefork_init,
    timeout,
    watch_loops,
)
from ._managed import Application, applications
from ._monitor import Monitor, Plan, check, number_of_starts, plan
from ._report import report

__all__ = [
    "Application",
    "Heart",
    "Monitor",
    "Plan",
    "applications",
    "bind_again",
    "came_up",
    "check",
    "child_heartbeat",
    "create",
    "default_timeout",
    "is_up",
    "number_of_starts",
    "plan",
    "prefork_init",
    "report",
    "timeout",
    "watch_loops",
]
