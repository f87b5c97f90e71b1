"""Values of the configuration that stand in Consul: ``consul:KEY`` and ``consul:FALLBACK:KEY``.

What was read once is kept, and followed by blocking queries, one for each folder of keys, each on a thread of its own.
So a read on a loop never waits: a key that was never read before has its fallback there until the agent has answered.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from runtime import eventer, hooks, log
from runtime.conf import Conf

from ._agent import Agent, AgentError

WAIT: Final = 300.0
"""Seconds for which the agent holds a question while nothing changes."""
AGAIN: Final = 2.0
"""Seconds between questions at least."""

_errors: Final = log.facility("error/consul")

Attached = Callable[[str, bytes | None, int], object]


class Values:
    """Of *agent*, below *prefix*.  From any thread."""

    def __init__(self, agent: Agent, prefix: str) -> None:
        self._agent = agent
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._known: dict[str, str | None] = {}
        self._watched: dict[str, list[Attached]] = {}
        self._lock = threading.Lock()

    def fix_up(self, _section: Any, _path: str, value: Any) -> int:
        """The callback of the hook ``mtev_conf_value_fixup``."""
        if value.text is not None and value.text.startswith("consul:"):
            fallback, colon, key = value.text[len("consul:") :].rpartition(":")
            value.text = self._read(key, fallback if colon else None)
        return hooks.CONTINUE

    def read_ahead(self, configuration: Conf) -> None:
        """Read all that *configuration* mentions, now that one may wait."""
        for element in configuration.root.iter("*"):
            for text in (element.text or "", *element.attrib.values()):
                if text.strip().startswith("consul:"):
                    self._read(text.strip().rpartition(":")[2], None)

    def attach(self, path: str, function: Attached) -> None:
        """Have ``function(key, value, index)`` called on a loop with every value whose key begins with *path*, below
        the prefix, now and whenever it changes; None for one that is gone."""
        self._watch(self._prefix + path, function)

    def _read(self, key: str, fallback: str | None) -> str | None:
        with self._lock:
            known = key in self._known
            value = self._known.get(key)
        if not known:
            folder = key.rpartition("/")[0]
            if not eventer.is_loop_thread():
                value = self._fetch(key)
            self._watch(self._prefix + (f"{folder}/" if folder else key), None)
        return fallback if value is None else value

    def _fetch(self, key: str) -> str | None:
        try:
            value = self._agent.value(self._prefix, key)
        except AgentError as failure:
            _errors.log(f"{failure}\n")
            return None
        with self._lock:
            self._known[key] = value
        return value

    def _watch(self, path: str, function: Attached | None) -> None:
        with self._lock:
            started = path in self._watched
            attached = self._watched.setdefault(path, [])
            if function is not None:
                attached.append(function)
        if not started:
            threading.Thread(target=self._follow, args=(path,), name="consul kv", daemon=True).start()

    def _follow(self, path: str) -> None:
        index = 0
        before: dict[str, bytes] = {}
        told = ""
        while True:
            asked = time.monotonic()
            try:
                now, following = self._agent.values(path, index, WAIT)
            except AgentError as failure:
                if told != str(failure):
                    told = str(failure)
                    _errors.log(f"{failure}; trying again every {AGAIN:g} s\n")
                time.sleep(AGAIN)
                index = 0
                continue
            told = ""
            index = following if following >= index else 0  # an agent that begins anew
            self._take(path, before, now, index)
            before = now
            time.sleep(max(0.0, asked + AGAIN - time.monotonic()) if index else AGAIN)

    def _take(self, path: str, before: dict[str, bytes], now: dict[str, bytes], index: int) -> None:
        changed: list[tuple[str, bytes | None]] = [
            (key, now.get(key)) for key in before.keys() | now.keys() if before.get(key) != now.get(key)
        ]
        with self._lock:
            for key, value in changed:
                name = key.removeprefix(self._prefix)
                self._known[name] = None if value is None else value.decode("utf-8", "replace")
            attached = list(self._watched[path])
        for function in attached:
            for key, value in changed:
                eventer.choose_owner(0).post(function, key, value, index)
