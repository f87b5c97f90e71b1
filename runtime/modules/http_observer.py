"""The last requests and their times, for people who look at a running system:
``/module/http_observer/requests.json``.

A record begins when a request is dispatched and ends when its response has gone out; the last ``max_count`` that
ended are kept, for ``max_age`` seconds.  Manual: http_observer."""

import itertools
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from weakref import WeakKeyDictionary

from runtime import hooks, http
from runtime.conf import names
from runtime.http import Request, Response
from runtime.http.ledger.settle import REQUEST_COMPLETE
from runtime.http.message.response import STARTING
from runtime.http.rest.dispatch import AUTHENTICATE, REQUEST_READ

NAME: Final = "http_observer"
MOST_FILTERS: Final = 16

_observer: "HttpObserver | None" = None


class Record:
    """One request.  ``numbers`` and ``texts`` are what is shown of it; ``ended`` is when, steady seconds, 0.0 while
    it lives."""

    __slots__ = ("ended", "numbers", "started", "texts")

    def __init__(self, number: int, request: Request) -> None:
        now = time.time()
        self.started = request.received or now
        self.numbers: dict[str, int] = {"request_id": number, "request_start_ms": int(self.started * 1000)}
        self.texts: dict[str, str] = {
            "method": _text(request.method),
            "uri": _text(request.path),
            "protocol": _text(request.protocol),
            "remote_address": request.peer.remote,
            "remote_port": str(request.peer.port),
        }
        if request.query:
            self.texts["querystring"] = _text(request.query)
        if request.peer.cn is not None:
            self.texts["remote_tls_common_name"] = request.peer.cn
        host = request.headers.get(b"host")
        if host is not None:
            self.texts["host"] = _text(host)
        self.ended = 0.0

    def mark(self, what: str) -> None:
        """Now is when *what* happened, the first time it is said."""
        self.numbers.setdefault(f"{what}_offset_ns", max(0, int((time.time() - self.started) * 1e9)))

    def shown(self) -> dict[str, int | str]:
        """As a row."""
        sizes = {"received_bytes": 0, "sent_bytes": 0}
        return {**sizes, **self.numbers, **self.texts}


class HttpObserver:
    """The module."""

    KEYS = names.names("max_count", "max_age", prefixes=["header_in_", "header_out_"])

    def configure(self, config: Mapping[str, str]) -> None:
        """Take keys.  Raises ValueError naming the one that cannot be used."""
        self.max_count = _number(config, "max_count", 10_000)
        self.max_age = _number(config, "max_age", 30)
        self.headers_in = _mapped(config, "header_in_")
        self.headers_out = _mapped(config, "header_out_")
        self._numbers = itertools.count()
        self._live: WeakKeyDictionary[Request, Record] = WeakKeyDictionary()
        self._ended: deque[Record] = deque(maxlen=self.max_count)
        self._lock = threading.Lock()

    def init(self) -> None:
        """Begin to observe."""
        global _observer
        _observer = self
        AUTHENTICATE.register(NAME, self._began)
        REQUEST_READ.register(NAME, self._read)
        STARTING.register(NAME, self._starting)
        REQUEST_COMPLETE.register(NAME, self._complete)
        http.mount("GET", "/module/http_observer/", r"^requests\.json$", self._requests)

    def note(self, request: Request, key: str, value: str) -> bool:
        """Add the field *key* to the record of *request*; False when there is none."""
        record = self._live.get(request)
        if record is None:
            return False
        record.texts[key] = value
        return True

    def _record(self, request: Request) -> Record:
        with self._lock:
            record = self._live.get(request)
            if record is None:
                record = self._live[request] = Record(next(self._numbers), request)
                for name, key in self.headers_in.items():
                    value = request.headers.get(name)
                    if value is not None:
                        record.texts[key] = _text(value)
        return record

    def _began(self, request: Request) -> int:
        self._record(request).mark("read_start")
        return hooks.CONTINUE

    def _read(self, request: Request, _response: Response) -> int:
        record = self._record(request)
        record.numbers["received_bytes"] = len(request.payload)
        record.mark("read_complete")
        record.mark("request_complete")
        return hooks.CONTINUE

    def _starting(self, request: Request, response: Response) -> int:
        record = self._record(request)
        record.texts["status"] = str(response.code)
        record.mark("response_start")
        for name, key in self.headers_out.items():
            value = response.header_value(name)
            if value is not None:
                record.texts[key] = _text(value)
        return hooks.CONTINUE

    def _complete(self, request: Request, response: Response) -> int:
        record = self._record(request)
        record.texts["status"] = str(response.code)
        record.numbers["sent_bytes"] = response.written
        record.mark("response_complete")
        record.ended = time.monotonic()
        with self._lock:
            self._live.pop(request, None)
            self._ended.append(record)
        return hooks.CONTINUE

    def _requests(self, request: Request, response: Response) -> None:
        """``GET /module/http_observer/requests.json?eq_FIELD=VALUE&re_FIELD=PCRE``."""
        wanted = list(itertools.islice(_filters(request.query), MOST_FILTERS))
        rows = [json.dumps(each.shown()) for each in self._records() if all(holds(each.texts) for holds in wanted)]
        response.header("Content-Type", "application/json")
        response.write("[" + "\n,".join(rows) + ("\n]\n" if rows else "]\n"))
        response.flush_end()

    def _records(self) -> list[Record]:
        """Those that live, then those that ended, the oldest first."""
        oldest = time.monotonic() - self.max_age
        with self._lock:
            while self._ended and self._ended[0].ended < oldest:
                self._ended.popleft()
            live = sorted(self._live.values(), key=lambda each: each.numbers["request_id"])
            return [*live, *self._ended]


def note(request: Request, key: str, value: str) -> bool:
    """Add the field *key* to what is observed of *request*; False when nothing is.  Manual:
    ``http_observer_note``."""
    return _observer is not None and _observer.note(request, key, value)


def _filters(query: bytes) -> Iterator[Callable[[Mapping[str, str]], bool]]:
    """What the options of a query ask of a record's texts; other options mean nothing."""
    for option in query.split(b"&"):
        name, equals, value = option.partition(b"=")
        kind, field = name[:3], _text(unquote_to_bytes(name[3:]))
        wanted = unquote_to_bytes(value.replace(b"+", b" "))
        if kind == b"eq_":
            yield _equal(field, _text(wanted) if equals else None)
        elif kind == b"re_":
            yield _matching(field, wanted)


def _equal(field: str, wanted: str | None) -> Callable[[Mapping[str, str]], bool]:
    if wanted is None:
        return lambda texts: field in texts
    return lambda texts: field in texts and texts[field] == wanted


def _matching(field: str, expression: bytes) -> Callable[[Mapping[str, str]], bool]:
    """An expression that is none lets everything through that has the field, as in the original."""
    import pcre2  # few ask for it

    try:
        compiled: Any = pcre2.compile(expression)
    except pcre2.PatternError:
        return lambda texts: field in texts

    def matches(texts: Mapping[str, str]) -> bool:
        try:
            return field in texts and compiled.search(texts[field].encode("utf-8", "surrogateescape")) is not None
        except pcre2.LibraryError:  # a match beyond its limits
            return False

    return matches


def _mapped(config: Mapping[str, str], prefix: str) -> dict[bytes, str]:
    """Header names in lower case, and the fields they are shown as."""
    found = {key[len(prefix) :]: value for key, value in config.items() if key.startswith(prefix)}
    for name, field in found.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", name) or not field:
            raise ValueError(f"{prefix}{name}: expected a header's name in lower case and a field")
    return {name.encode(): field for name, field in found.items()}


def _number(config: Mapping[str, str], name: str, default: int) -> int:
    text = config.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) == 0:
        raise ValueError(f"{name}: expected a number above 0, got {text!r}")
    return int(text)


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")
