"""The console over WebSocket, ``/mtev/console``: commands come as words in JSON, what is printed goes out in JSON.

In: ``{id?, command?: [words], complete?: bool}``; an empty object keeps the connection alive.  Out:
``{"cmdid": "0", "text": …}`` for each print, ``{"id": 0, "log": {…}}`` for each line of a connected log,
``{"id": …, "completion": [words]}``, ``{"id": …, "error": …}``.  Manual: Console.
"""

import json
from itertools import count
from typing import Any

from runtime import http

from ._console import Console, complete
from ._registry import top

MOST_WORDS = 256
HIGH_WATER = 1 << 20
"""Bytes that a client has not taken from which on lines of logs are not sent to it."""


_numbers: set[int] = set()


class RemoteConsole:
    """The console of one connection; on its loop thread."""

    def __init__(self, ws: Any) -> None:
        self._ws = ws
        self._number = next(each for each in count(1) if each not in _numbers)
        _numbers.add(self._number)
        name = f"console/ws/[{self._number}]"
        self.console = Console(top(), name, self._print, log_format="json", log_out=self._log)
        self.console.clogged = lambda: ws.backlog >= HIGH_WATER

    def close(self) -> None:
        """The connection is gone."""
        self.console.close()
        _numbers.discard(self._number)

    def take(self, payload: bytes) -> None:
        """Do what a message asks for."""
        try:
            asked = json.loads(payload)
        except ValueError:
            self._say({"id": "0", "error": "could not parse json"})
            return
        if not isinstance(asked, dict):
            self._say({"id": "0", "error": "expected json object"})
            return
        given = asked.get("id", 0)
        number = str(given) if isinstance(given, int) or (isinstance(given, str) and given.isdecimal()) else "0"
        command = asked.get("command")
        if command is None:
            return
        if not isinstance(command, list) or len(command) > MOST_WORDS:
            self._say({"id": number, "error": "command not array of strings"})
            return
        words = [each if isinstance(each, str) else json.dumps(each) for each in command]
        if asked.get("complete"):
            self._say({"id": number, "completion": _completions(self.console, words)})
        elif words:
            if self.console.level.rest is not None:
                self.console.enter(" ".join(words))
            elif words != ["exit"] or len(self.console.levels) > 1:
                self.console.enter_words(words)

    def _print(self, text: str) -> None:
        self._say({"cmdid": "0", "text": text})

    def _log(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"message": line.decode("utf-8", "replace")}
        self._say({"id": 0, "log": entry})

    def _say(self, document: dict[str, Any]) -> None:
        self._ws.send(http.TEXT, json.dumps(document).encode())


def _completions(console: Console, words: list[str]) -> list[str]:
    """What may stand for the last of *words*."""
    before = " ".join(_quoted(each) for each in words[:-1])
    last = words[-1] if words else ""
    found = complete(console, f"{before} {_quoted(last) if last else ''}".lstrip())
    return sorted({each for each in found if each.startswith(last)})


def _quoted(word: str) -> str:
    if word and not any(each.isspace() or each in "\"'\\" for each in word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
