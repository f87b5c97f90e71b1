"""A cluster on its port: heartbeats go out every period, and what comes in is taken.  One socket, two events, one
loop."""

import errno
import ipaddress
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from runtime import eventer, log
from runtime.eventer import READ, Event

from ._heartbeat import Refused
from ._members import Clock, Cluster, Update
from ._spec import Spec

BATCH = 64
"""Datagrams taken in one go; the rest waits until everybody else had their turn."""
LONGEST = 65535
"""Bytes of a datagram."""
IDLE = 0.2
"""Seconds between two looks for dead nodes where no heartbeats are sent (``period="0"``)."""
QUIET = 60.0
"""Seconds for which a fault of one kind is not told again."""

error = log.stream_find("error/cluster")
debug = log.stream_find("debug/cluster")


def clock() -> Clock:
    """The time now."""
    return Clock(time.time(), time.monotonic())


@dataclass(frozen=True)
class Place:
    """Where a cluster listens in one family of addresses: at one of them, or at all (None), and to which groups."""

    family: int
    address: str | None
    port: int
    groups: tuple[str, ...]


class Post:
    """Sends and receives for *cluster*; *tell* is called, on the loop, with what is new about a node.

    Raises OSError when the port cannot be bound."""

    def __init__(self, cluster: Cluster, tell: Callable[[Cluster, Update], None]) -> None:
        self.cluster = cluster
        self._tell = tell
        self._told: dict[tuple[str, str], float] = {}
        self._sockets: dict[Place, socket.socket] = {}
        self._events: dict[Place, Event] = {}
        self._by_family: dict[int, socket.socket] = {}
        self._timer: Event | None = None
        self.move(cluster.spec)

    def move(self, spec: Spec) -> None:
        """Listen where *spec* says, from now on.  Raises OSError, and stays, when that cannot be bound."""
        wanted = _places(spec, self.cluster.me)
        fresh: dict[Place, socket.socket] = {}
        try:
            for place in wanted - self._sockets.keys():
                fresh[place] = _bound(place, spec.name)
        except BaseException:
            for each in fresh.values():
                each.close()
            raise
        for place in self._sockets.keys() - wanted:
            self._leave(place)
        self._sockets |= fresh
        self._by_family = {place.family: each for place, each in self._sockets.items()}
        if self._timer is not None:
            for place in fresh:
                self._listen(place)

    def start(self) -> None:
        """Begin, on the first loop thread of the default pool."""
        self._timer = eventer.alloc_timer(self._turn, None, time.time())
        eventer.set_owner(self._timer, eventer.choose_owner(0))
        eventer.add(self._timer)
        for place in self._sockets:
            self._listen(place)

    def close(self) -> None:
        """Stop; from any thread."""
        timer, self._timer = self._timer, None
        if timer is not None:
            eventer.remove(timer)
        for place in list(self._sockets):
            self._leave(place)

    def _listen(self, place: Place) -> None:
        source = self._sockets[place]
        event = self._events[place] = eventer.alloc_fd(self._readable, source, source.fileno(), READ)
        eventer.set_owner(event, eventer.choose_owner(0))
        eventer.add(event)

    def _leave(self, place: Place) -> None:
        source, event = self._sockets.pop(place), self._events.pop(place, None)
        if event is None or event.owner is None:
            source.close()
            return
        eventer.remove(event)
        if not event.owner.post(source.close):  # behind the end of its watcher
            source.close()

    def _turn(self, event: Event, _mask: int, _closure: object, _now: float) -> int:
        """The timer: heartbeats go out, the dead are found."""
        now = clock()
        period = self.cluster.spec.period
        if period:
            self._send(now)
        for update in self.cluster.check(now):
            error.log(f"cluster '{self.cluster.name}': node {update[0].cn} ({update[0].id}) is dead\n")
            self._tell(self.cluster, update)
        if self._timer is event:  # nobody closed it meanwhile
            self._timer = eventer.add_in(self._turn, None, period or IDLE)
        return 0

    def _send(self, now: Clock) -> None:
        beat = self.cluster.beat(now)
        if beat is None:
            return
        datagram, update = beat
        if update is not None:
            self._tell(self.cluster, update)
        for node in self.cluster.nodes(include_me=False):
            try:
                self._by_family[node.spec.family].sendto(datagram, (node.spec.address, node.spec.port))
                self.cluster.sent += 1
            except OSError as failure:  # one that cannot be reached keeps nobody else from hearing
                self._complain("send", str(node.id), f"no heartbeat to {node.cn} at {node.address}: {failure.strerror}")

    def _readable(self, _event: Event, _mask: int, source: socket.socket, _now: float) -> int:
        receive, take = source.recvfrom, self.cluster.receive
        now = clock()
        for _ in range(BATCH):
            try:
                datagram, sender = receive(LONGEST)
            except BlockingIOError:
                break
            except OSError as failure:  # such as a port that was found closed by what we sent before
                debug.log(f"cluster '{self.cluster.name}': {failure}\n")
                continue
            try:
                update = take(datagram, sender[0], now)
            except Refused as refusal:
                self._complain(
                    refusal.reason,
                    sender[0],
                    f"datagram from {sender[0]}:{sender[1]} dropped ({refusal.reason}): {refusal}",
                )
                continue
            if update is not None:
                self._tell(self.cluster, update)
        return READ

    def _complain(self, kind: str, about: str, text: str) -> None:
        """Log *text*, unless something like it was logged a moment ago."""
        now = time.monotonic()
        if now - self._told.get((kind, about), -QUIET) < QUIET:
            return
        if len(self._told) >= 1024:
            self._told = {each: when for each, when in self._told.items() if now - when < QUIET}
            if len(self._told) >= 1024:
                return
        self._told[kind, about] = now
        error.log(f"cluster '{self.cluster.name}': {text}\n")


def _places(spec: Spec, me: UUID) -> set[Place]:
    """At the address that the others know of this member, so that what it sends comes from there; in a family in
    which it has none, and where a group is to be heard, at all addresses."""
    families = {each.family for each in spec.nodes} or {socket.AF_INET}
    mine = next((each for each in spec.nodes if each.id == me), None)
    places = set()
    for family in families:
        groups = tuple(each.address for each in spec.nodes if each.family == family and each.is_group)
        own = mine is not None and mine.family == family and not groups
        places.add(Place(family, mine.address if mine is not None and own else None, spec.port, groups))
    return places


def _bound(place: Place, name: str) -> socket.socket:
    """A socket that listens there; on all addresses where the one that is wanted is none of this machine's, as behind
    a translator of addresses."""
    made = socket.socket(place.family, socket.SOCK_DGRAM)
    everywhere = "::" if place.family == socket.AF_INET6 else "0.0.0.0"
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if place.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            made.bind((place.address or everywhere, place.port))
        except OSError as failure:
            if failure.errno != errno.EADDRNOTAVAIL or place.address is None:
                raise
            error.log(f"cluster '{name}': {place.address} is no address of this machine; listening on all\n")
            made.bind((everywhere, place.port))
        for each in place.groups:
            _join(made, each)
    except BaseException:
        made.close()
        raise
    return made


def _join(made: socket.socket, group: str) -> None:
    address = ipaddress.ip_address(group)
    if not address.is_multicast:
        return  # a broadcast reaches everybody
    if address.version == 4:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, address.packed + socket.inet_aton("0.0.0.0"))
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, address.packed + struct.pack("@I", 0))
