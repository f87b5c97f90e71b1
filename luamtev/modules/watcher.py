"""``--reload``: looks at the Lua files that states have loaded, and has states made anew whose files changed.

A thread of its own looks, so that a loop that Lua holds up does not keep it from looking.
"""

import threading

from luamtev.api import runtime
from runtime.stamps import Stamp, stamp

INTERVAL = 0.2
"""Seconds between two looks at the files; what changed is acted on once two looks see the same."""


def start() -> None:
    """Begin to look."""
    threading.Thread(target=_watch, name="reload", daemon=True).start()


def _watch() -> None:
    watches = [_Watch(each) for each in runtime.modules()]
    pause = threading.Event()
    while not pause.wait(INTERVAL):
        for each in watches:
            each.look()


class _Watch:
    """The files of one module."""

    def __init__(self, module: runtime.Reloadable) -> None:
        self._module = module
        self._seen: dict[str, Stamp | None] = {}  # what changed, at the look before
        self._acted: dict[str, Stamp | None] = {}  # and when it was acted on

    def look(self) -> None:
        """Compare the files with what they were when they were loaded."""
        changed: dict[str, Stamp | None] = {}
        for path, loaded in self._module.files().items():
            now = stamp(path)
            if now is not None and now != loaded:  # one that is gone for a moment is being written
                changed[path] = now
        if changed and changed == self._seen and changed != self._acted:
            self._acted = changed
            self._module.replace(next(iter(sorted(changed))))
        self._seen = changed
