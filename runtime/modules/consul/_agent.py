"""What is asked of a Consul agent, over HTTP: for threads that may wait, never for a loop."""

import base64
import threading
from typing import Any, Final
from urllib.parse import quote

import requests

from runtime import log

from .._peers import shown

TIMEOUT: Final = 5.0
"""Seconds for an answer, and for a connection."""

_debug: Final = log.facility("debug/consul")


class AgentError(Exception):
    """The agent cannot be reached, or does not do what it is asked; ``status`` is its answer, 0 without one."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Agent:
    """The agent at *url*, asked with the bearer *token*, if any.  From any thread that may wait."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._where = shown(self.url)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._here = threading.local()

    def put(self, path: str, document: Any = ..., **query: str) -> None:
        """``PUT /v1/agent/PATH`` with *document* as JSON, if one is given.  Raises :exc:`AgentError`."""
        given = {} if document is ... else {"json": document}
        if document is None:
            given = {"data": "null", "headers": {"Content-Type": "application/json"}}
        self._ask("PUT", f"/v1/agent/{path}", params={key: each for key, each in query.items() if each}, **given)

    def value(self, prefix: str, key: str) -> str | None:
        """The value of *key* below *prefix*, None when there is none.  Raises :exc:`AgentError`."""
        try:
            return str(
                self._ask("GET", f"/v1/kv/{quote(prefix)}{escaped(key)}?raw=true").content.decode("utf-8", "replace")
            )
        except AgentError as failure:
            if failure.status == 404:
                return None
            raise

    def values(self, path: str, index: int, wait: float) -> tuple[dict[str, bytes], int]:
        """All values whose key begins with *path*, by key, once one has changed after *index*, or *wait* seconds are
        over; and the index to ask with next.  Raises :exc:`AgentError`."""
        asked = f"/v1/kv/{quote(path)}?recurse=1&index={index}&wait={wait:g}s"
        try:
            answer = self._ask("GET", asked, timeout=(TIMEOUT, wait * 1.1 + TIMEOUT))
            found = {str(each["Key"]): base64.b64decode(each["Value"] or "", validate=True) for each in answer.json()}
        except _NoValueError as nothing:
            return {}, nothing.index
        except (KeyError, TypeError, ValueError) as failure:
            raise AgentError(f"GET {self._where}{asked}: expected values, got something else ({failure!r})") from None
        return found, _index(answer)

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        session = getattr(self._here, "session", None)
        if session is None:
            session = self._here.session = requests.Session()
            session.trust_env = False  # an agent is next door: no proxies
        options.setdefault("timeout", TIMEOUT)
        headers = self._headers | options.pop("headers", {})
        try:
            answer: requests.Response = session.request(method, self.url + path, headers=headers, **options)
        except (requests.RequestException, OSError, ValueError) as failure:  # not all of them are requests' own
            raise AgentError(f"{method} {self._where}{path}: {_cause(failure)}") from None
        if _debug.enabled:
            _debug.log(f"{method} {self._where}{path}: {answer.status_code}\n")
        if answer.status_code == 404:
            raise _NoValueError(f"{method} {self._where}{path}: 404 {answer.text[:200].strip()}", 404, _index(answer))
        if not 200 <= answer.status_code < 300:
            text = f"{method} {self._where}{path}: {answer.status_code} {answer.text[:200].strip()}"
            raise AgentError(text, answer.status_code)
        return answer


class _NoValueError(AgentError):
    """404, with the index to ask with next."""

    def __init__(self, message: str, status: int, index: int) -> None:
        super().__init__(message, status)
        self.index = index


def escaped(key: str) -> str:
    """*key* as one step of a path."""
    return quote(key, safe="")


def _index(answer: requests.Response) -> int:
    text = answer.headers.get("X-Consul-Index", "0")
    return int(text) if text.isdecimal() else 0


def _cause(failure: BaseException) -> str:
    """The last of the chain of reasons, without the objects in it."""
    reason = getattr(failure.args[0], "reason", None) if failure.args else None
    text = str(reason or failure)
    return text.rpartition(": ")[2] or text
