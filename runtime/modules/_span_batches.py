"""Batches of spans on their way to a collector, over HTTP.

Spans wait here, up to a backlog; a job on a queue of its own posts them, at once when a batch is full and else every
period.  A collector that cannot be reached is tried again, with pauses that grow, and nothing is lost within the
backlog; a batch that it refuses is posted again as often as *retries* says, and dropped then.  No loop ever waits.
"""

import re
import time
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping
from itertools import islice
from threading import Lock
from typing import Final

import requests

from runtime import eventer, hooks, lifecycle, log, stats, zipkin
from runtime.zipkin import Span

from ._peers import Backoff, shown

FIRST_PAUSE, LAST_PAUSE = 0.5, 8.0
"""Seconds between two attempts after a failure: the first pause doubles up to the last."""

TIMEOUT: Final = 2.0
"""Seconds that spans have to go out when the process ends."""

_DROPPED = ("backlog", "refused")


LONGEST_PAUSE = 300.0
"""Seconds for which a collector may ask us to wait."""


class Refused(Exception):
    """The collector answered, but did not take the batch; ``status``, and for how many seconds it wants to be left
    alone."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(f"{answer.status_code} {answer.reason}")
        self.status = answer.status_code
        wanted = answer.headers.get("Retry-After", "")
        self.pause = min(float(wanted), LONGEST_PAUSE) if re.fullmatch(r"\d{1,9}", wanted, re.ASCII) else 0.0


def _nothing(_answer: requests.Response) -> tuple[int, str]:
    """A collector that takes a batch takes all of it."""
    return 0, ""


class SpanBatches:
    """The spans that go to one collector.

    Args: *name*, of the exporter; *url*; *headers*; *encode*, makes the body of a batch, on another thread; *left_out*,
    how many spans of a batch that was taken an answer says were not, and why; *final*, the statuses after which a batch
    is not posted again;
    *max_batch* and *backlog*, spans; *period* and *timeout*, seconds; *verify*, a file of authorities, or whether the
    system's are asked.  Attributes, for people: ``waiting``, ``sent``, ``failures`` (posts that failed)."""

    def __init__(
        self,
        name: str,
        url: str,
        headers: Mapping[str, str],
        encode: Callable[[list[Span]], bytes],
        *,
        max_batch: int,
        period: float,
        backlog: int,
        retries: int,
        timeout: float,
        verify: str | bool = True,
        left_out: Callable[[requests.Response], tuple[int, str]] = _nothing,
        final: Container[int] = (),
    ) -> None:
        self.name, self.url, self.encode = name, url, encode
        self.where = shown(url)
        self.max_batch, self.period, self.backlog = max_batch, period, backlog
        self.retries, self.timeout = retries, timeout
        self._left_out, self._final = left_out, final
        self.sent = self.failures = 0
        self.dropped = dict.fromkeys(_DROPPED, 0)
        self._waiting: deque[Span] = deque()
        self._lock = Lock()
        self._posting = False
        self._over = False  # nothing is posted any more
        self._attempts = 0  # of the batch that is next
        self._not_before = 0.0
        self._backoff = Backoff(FIRST_PAUSE, LAST_PAUSE)
        self._told = ""
        self._session = requests.Session()
        self._session.trust_env = False  # the URL says where the collector is
        self._session.verify = verify
        self._session.headers.clear()
        self._session.headers.update({"Accept": "*/*", **headers})
        self._errors = log.stream_find(f"error/{name}")
        self._debug = log.stream_find(f"debug/{name}")

    @property
    def waiting(self) -> int:
        """Spans that were not delivered yet."""
        return len(self._waiting)

    def start(self) -> None:
        """Take spans that are published from now on; once the loops run."""
        zipkin.PUBLISH_SPAN.register(self.name, self.put)
        stats.source(self._readings)
        lifecycle.on_stop(self.stop)
        eventer.add_in(self._tick, None, self.period)

    def put(self, span: Span) -> int:
        """*span* was published; from any thread."""
        with self._lock:
            if len(self._waiting) >= self.backlog:
                self.dropped["backlog"] += 1
                return hooks.CONTINUE
            self._waiting.append(span)
            full = len(self._waiting) >= self.max_batch
        if full:
            self._begin()
        return hooks.CONTINUE

    def stop(self) -> None:
        """The process ends: post what waits, for a while, and nothing from then on."""
        zipkin.PUBLISH_SPAN.unregister(self.name)
        ending = time.monotonic() + TIMEOUT
        while self._waiting and time.monotonic() < ending:
            if not self._claim():
                time.sleep(0.01)
            elif not self._post_all(1, min(self.timeout, TIMEOUT)):
                break
        self._over = True
        if self._waiting:
            self._errors.log(f"{self.name}: the process ends with {len(self._waiting)} spans undelivered\n")
        self._session.close()

    def _tick(self, _event: eventer.Event, _mask: int, _closure: object, _now: float) -> None:
        if self._over:
            return
        eventer.add_in(self._tick, None, self.period)
        if self._waiting:
            self._begin(1)

    def _claim(self) -> bool:
        """Become the one that posts."""
        with self._lock:
            if self._posting:
                return False
            self._posting = True
            return True

    def _begin(self, least: int = 0) -> None:
        """Post on the job queue, batches of *least* spans or full ones; not during a pause."""
        if self._over or time.monotonic() < self._not_before or not self._claim():
            return
        try:
            queue = eventer.jobq_create(self.name, 1)
            eventer.simple_asynch(self._post_all, least or self.max_batch, self.timeout, queue=queue)
        except eventer.EventerError:  # the loops stop
            self._posting = False

    def _post_all(self, least: int, timeout: float) -> bool:
        """Post until fewer than *least* spans wait, after a first batch full ones; whether nothing failed."""
        try:
            while len(self._waiting) >= least:
                with self._lock:
                    batch = list(islice(self._waiting, self.max_batch))
                if not self._post(batch, timeout):
                    return False
                least = self.max_batch
            return True
        finally:
            self._posting = False

    def _post(self, batch: list[Span], timeout: float) -> bool:
        try:
            with self._session.post(self.url, self.encode(batch), timeout=timeout, allow_redirects=False) as answer:
                if not 200 <= answer.status_code < 300:
                    raise Refused(answer)
                missing, why = self._left_out(answer)
        except Refused as refused:
            self._attempts += 1
            hopeless = self._attempts > self.retries or refused.status in self._final
            self._failed(f"{self.where} answers {refused}", batch if hopeless else [], refused.pause)
            return False
        except requests.RequestException as failure:
            self._failed(f"{self.where} is not reached: {type(failure).__name__}", [])
            return False
        except Exception as failure:  # a span that cannot be encoded is not to hold up those behind it
            self._failed(f"spans cannot be sent: {failure!r}", batch)
            return False
        self._gone(batch)
        missing = min(missing, len(batch))
        self.sent += len(batch) - missing
        if missing:
            self.dropped["refused"] += missing
            self._errors.log(f"{self.name}: {self.where} leaves out {missing} spans: {why}\n")
        if self._told:
            self._told = ""
            self._errors.log(f"{self.name}: {self.where} takes spans again\n")
        if self._debug.enabled:
            self._debug.log(f"{len(batch)} spans sent to {self.where}\n")
        self._backoff.reset()
        return True

    def _failed(self, why: str, lost: list[Span], pause: float = 0.0) -> None:
        """A post failed; *lost* are the spans that are given up for it, *pause* seconds are to pass before the next."""
        self.failures += 1
        self._not_before = time.monotonic() + pause
        if lost:
            self._gone(lost)
            self.dropped["refused"] += len(lost)
            self._backoff.reset()
            self._errors.log(f"{self.name}: {why}; {len(lost)} spans dropped\n")
            return
        self._not_before = time.monotonic() + max(pause, self._backoff.next())
        if why != self._told:
            self._told = why
            self._errors.log(f"{self.name}: {why}; {len(self._waiting)} spans wait\n")

    def _gone(self, batch: list[Span]) -> None:
        with self._lock:
            for _ in batch:
                self._waiting.popleft()
        self._attempts = 0

    def _readings(self) -> Iterator[stats.Reading]:
        yield stats.Reading(f"{self.name}.sent", (), self.sent)
        yield stats.Reading(f"{self.name}.failures", (), self.failures)
        for why, count in self.dropped.items():
            yield stats.Reading(f"{self.name}.dropped", (("reason", why),), count)
