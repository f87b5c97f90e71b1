"""Brokers of messages: the ``<network><mq type="TYPE">`` elements of the configuration, and who handles what is
delivered.  Manual: amqp, fq."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from runtime import conf, eventer, hooks, stats
from runtime.conf import names
from runtime.eventer import LoopThread

T = TypeVar("T")

conf.hide("//network//mq/pass")


def brokers(kind: str, known: Collection[str], settings: Callable[[Mapping[str, str]], T]) -> list[T]:
    """*settings* of what stands in each ``<mq type="KIND">``, in order.

    Raises :exc:`runtime.conf.ConfError` with the line of an element that is not among *known*, and of one of which
    *settings* says by a ValueError, ``ELEMENT: why``, that it cannot be used."""
    configuration = conf.current()
    found: list[T] = []
    for section in configuration.get_sections(f"//network//mq[@type='{kind}']"):
        if configuration.env_off(section):
            continue
        elements = {str(child.tag): child for child in section.iterchildren("*")}
        for tag, element in elements.items():
            if tag not in known:
                nearest = names.names(*known).nearest(tag)
                raise configuration.error(f'<mq type="{kind}">: there is no element {tag}, expected {nearest}', element)
        texts = {tag: configuration.get_string("self::node()", each) or "" for tag, each in elements.items()}
        try:
            found.append(settings(texts))
        except ValueError as mistake:
            element = elements.get(str(mistake).partition(":")[0], section)
            raise configuration.error(f'<mq type="{kind}">: {mistake}', element) from None
    return found


def readings(kind: str, clients: Sequence[Any], *counters: str) -> Iterator[stats.Reading]:
    """What each of *clients* counted, its attributes named *counters*, and what its backlog dropped."""
    for each in clients:
        tags = (("connection", str(each.number)),)
        for counter in counters:
            yield stats.Reading(f"{kind}.{counter}", tags, getattr(each, counter))
        yield stats.Reading(f"{kind}.dropped", tags, each.backlog.dropped)


def chosen(clients: Sequence[T], connection: int) -> Sequence[T]:
    """Those of *clients* that *connection* means: the one of that number, if there is one; -1: all."""
    if connection == -1:
        return clients
    return clients[connection : connection + 1] if connection >= 0 else ()


class Poller:
    """Has messages handled by a *hook* on *threads* in turn, *limit* in one go at most."""

    def __init__(self, hook: hooks.Hook, threads: list[LoopThread], limit: int) -> None:
        self._hook = hook
        self._threads = threads
        self._limit = limit or 1
        self._turn = 0

    def deliver(self, client: Any, messages: Sequence[Any], done: Callable[[], object]) -> None:
        """On a loop thread: have each of *messages* handled, as hook(client, client.number, message, message.payload),
        and *done* called then."""
        if len(self._threads) == 1:
            self._handle(client, messages, 0, done)
            return
        self._turn += 1
        self._threads[self._turn % len(self._threads)].post(self._handle, client, messages, 0, done)

    def _handle(self, client: Any, messages: Sequence[Any], at: int, done: Callable[[], object]) -> None:
        thread = eventer.current()
        mine = eventer.Slice()
        end = min(len(messages), at + self._limit)
        while at < end:
            if self._hook.exists():
                message = messages[at]
                thread.guarded(self._hook.invoke, client, client.number, message, message.payload)
            at += 1
            if mine.is_over():
                break
        if at < len(messages) and thread.post(self._handle, client, messages, at, done):
            return
        done()
