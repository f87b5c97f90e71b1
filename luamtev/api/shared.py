"""What the Lua states of the process share: values, sequences, queues and semaphores.

Values are bytes made and read by Lua; here they are only kept.  A queue and a semaphore are one thing, a *store* of
items with people waiting: an item goes to whoever waits longest, else it is kept.  All of it is under one lock, held
for moments only; a waiter in another thread is woken through its loop, nobody polls.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luamtev.port import Port

_lock = threading.Lock()
_values: dict[bytes, bytes] = {}
_sequences: dict[bytes, int] = {}
_queues: "dict[bytes, Queue]" = {}
_semaphores: "dict[bytes, Semaphore]" = {}

Item = bytes | bool


class Wait:
    """One coroutine's place in a store's line, known to its state by a ticket."""

    def __init__(self, store: "Store", state: "Port", ticket: int) -> None:
        self.store = store
        self.state = state
        self.ticket = ticket
        self.item: Item | None = None  # set when it is served, though it may not know yet

    def withdraw(self) -> Item | None:
        """Leave the line; returns the item that was served already, else None."""
        with _lock:
            if self.item is None:
                self.store.line.remove(self)
                self.store.tidy()
            return self.item

    def cancel(self) -> None:
        """Leave the line; an item that was served already goes to the next."""
        item = self.withdraw()
        if item is not None:
            with _lock:
                self.store.put_back(item)


class Store:
    """Items and the line of those who wait for one."""

    def __init__(self) -> None:
        self.line: deque[Wait] = deque()

    def take(self) -> Item | None:
        """Take the first item, or None; with the lock held."""
        raise NotImplementedError

    def put_back(self, item: Item) -> None:
        """Undo a take, the item goes to the next in line; with the lock held."""
        raise NotImplementedError

    def serve(self) -> None:
        """Hand items to those who wait, longest first; with the lock held."""
        while self.line:
            item = self.take()
            if item is None:
                return
            wait = self.line.popleft()
            wait.item = item
            wait.state.ticket_done(wait.ticket, item)

    def request(self, state: "Port", ticket: int | None) -> Item | None:
        """An item if one is to be had, else None with the ticket, if given, in line; with the lock held."""
        item = None if self.line else self.take()
        if item is None and ticket is not None:
            wait = Wait(self, state, ticket)
            self.line.append(wait)
            state.tickets[ticket] = wait
        return item

    def tidy(self) -> None:
        """Forget the store if it need not be remembered; with the lock held."""


class Queue(Store):
    """Values sent with shared_notify under one key.  It is in `_queues` while it holds or awaits anything."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self.key = key
        self.items: deque[Item] = deque()

    def take(self) -> Item | None:
        return self.items.popleft() if self.items else None

    def put_back(self, item: Item) -> None:
        queue = _queues.setdefault(self.key, self)
        queue.items.appendleft(item)
        queue.serve()
        queue.tidy()

    def tidy(self) -> None:
        """Forget the queue when nothing is in it; with the lock held."""
        if not self.items and not self.line and _queues.get(self.key) is self:
            del _queues[self.key]


class Semaphore(Store):
    """A count that may be below zero; an item is the right to pass."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def take(self) -> Item | None:
        if self.count <= 0:
            return None
        self.count -= 1
        return True

    def put_back(self, item: Item) -> None:
        self.count += 1
        self.serve()


def functions(state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/shared.lua`` builds on."""

    def shared_take(key: bytes, ticket: int | None = None) -> Item | None:
        with _lock:
            queue = _queues.get(key) or _queues.setdefault(key, Queue(key))
            item = queue.request(state, ticket)
            queue.tidy()
            return item

    def semaphore_take(name: bytes, ticket: int | None = None) -> Item | None:
        with _lock:
            return _semaphores[name].request(state, ticket)

    def withdraw(ticket: int) -> Item | None:
        wait = state.tickets.pop(ticket, None)
        return wait.withdraw() if isinstance(wait, Wait) else None

    return {
        "shared_set": shared_set,
        "shared_get": _values.get,
        "shared_seq": shared_seq,
        "shared_notify": shared_notify,
        "shared_take": shared_take,
        "semaphore_open": semaphore_open,
        "semaphore_take": semaphore_take,
        "semaphore_release": semaphore_release,
        "withdraw": withdraw,
    }


def shared_set(key: bytes, value: bytes | None) -> None:
    """Keep *value* under *key* for every state; None deletes it."""
    if value is None:
        _values.pop(key, None)
    else:
        _values[key] = value


def shared_seq(name: bytes) -> int:
    """0, 1, 2 … over all states."""
    with _lock:
        number = _sequences.get(name, 0)
        _sequences[name] = number + 1
        return number


def shared_notify(key: bytes, value: bytes) -> None:
    """Send *value* to whoever waits longest for *key*, or keep it for the next who asks."""
    with _lock:
        queue = _queues.get(key) or _queues.setdefault(key, Queue(key))
        queue.items.append(value)
        queue.serve()
        queue.tidy()


def semaphore_open(name: bytes, count: int) -> None:
    """Create semaphore *name* with *count* unless it exists."""
    with _lock:
        if name not in _semaphores:
            _semaphores[name] = Semaphore(int(count))


def semaphore_release(name: bytes) -> None:
    """Add one to the count of semaphore *name*."""
    with _lock:
        semaphore = _semaphores[name]
        semaphore.count += 1
        semaphore.serve()
