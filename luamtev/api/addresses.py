"""Addresses for Lua: the system's resolver, off the loop, and the route to an address.

The resolver blocks for as long as name servers take, so a few threads do nothing else.  They are daemons: the end of
the process waits for no name server.  Manual: mtev.getaddrinfo, mtev.getip_ipv4.
"""

import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from runtime import log

if TYPE_CHECKING:
    from luamtev.state import State

THREADS = 8
"""Names resolved at the same time; more wait in line."""


class Question:
    """A name that a coroutine wants resolved, known to its state by a ticket."""

    def __init__(self, state: "State", ticket: int, host: bytes) -> None:
        self.state = state
        self.ticket = ticket
        self.host = host
        self.wanted = True

    def cancel(self) -> None:
        """Nobody waits any longer: if it is still in line it is not asked."""
        self.wanted = False

    def answer(self) -> None:
        """Ask the system; on a resolver thread."""
        if self.wanted:
            self.state.ticket_done(self.ticket, *resolve(self.host))


class Resolver:
    """The line of questions and the threads that answer them, started as they are needed."""

    def __init__(self) -> None:
        self._line: SimpleQueue[Question] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def ask(self, question: Question) -> None:
        """Put *question* in line.  Does not block.  Raises :exc:`RuntimeError` when no thread can be started."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < THREADS:
                self._start_thread()
        self._line.put(question)

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._run, name=f"resolver/{self._threads}", daemon=True).start()
        except RuntimeError:
            if self._threads == 0:
                raise
        else:
            self._threads += 1

    def _run(self) -> None:
        while True:
            question = self._line.get()
            try:
                question.answer()
            except Exception as failure:
                log.error.log(f"resolving {question.host!r} failed: {failure!r}\n")
                question.state.ticket_done(question.ticket, None, repr(failure).encode())
            del question
            with self._lock:
                self._idle += 1


_resolver = Resolver()


def functions(state: "State") -> dict[str, Callable[..., Any]]:
    """What ``mtev/addresses.lua`` builds on."""

    def ask(ticket: int, host: bytes) -> None:
        question = Question(state, ticket, host)
        _resolver.ask(question)
        state.tickets[ticket] = question

    return {"route_source": route_source, "resolve": ask}


def resolve(host: bytes) -> tuple[bytes | None, bytes]:
    """The first IPv4 address of *host*, else its first IPv6 address, and "inet" or "inet6"; or None and a reason.

    Blocks."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as failure:  # gaierror too
        return None, (failure.strerror or str(failure)).encode("utf-8", "replace")
    for family, name in ((socket.AF_INET, b"inet"), (socket.AF_INET6, b"inet6")):
        for each in found:
            if each[0] == family:
                return str(each[4][0]).encode(), name
    return None, b"no address"


def route_source(target: bytes) -> tuple[str | None, str | None]:
    """The local address packets to *target* leave from, or None and a reason."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target.decode(), 53))
        except OSError as failure:
            return None, failure.strerror
        return probe.getsockname()[0], None
