"""A cluster on its port: heartbeats go out every period, and what came in is taken four times as often.

One timer on one loop does it all.  Nobody waits for a datagram: a hundred nodes would wake the loop five hundred
times a second, each time for one."""

import errno
import ipaddress
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from runtime import eventer, log
from runtime.eventer import Event

from ._heartbeat import Refused
from ._members import Clock, Cluster, Update
from ._spec import Spec

BATCH = 64
"""Datagrams taken in one go; the rest waits until everybody else had their turn."""
LONGEST = 65535
"""Bytes of a datagram."""
LOOKS = 4
"""How often a period is looked for datagrams and for the dead."""
IDLE = 0.2
"""Seconds that count for a period where no heartbeats are sent (``period="0"``)."""
QUIET = 60.0
"""Seconds for which a fault of one kind is not told again."""

error: Final = log.facility("error/cluster")
debug: Final = log.facility("debug/cluster")


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
        self._by_family: dict[int, socket.socket] = {}
        self._timer: Event | None = None
        self._lock = threading.RLock()
        self.move(cluster.spec)

    def move(self, spec: Spec) -> None:
        """Listen where *spec* says, from now on.  Raises OSError, and stays, when that cannot be bound."""
        wanted = _places(spec, self.cluster.me)
        with self._lock:
            self._move(wanted, spec.name)

    def _move(self, wanted: set[Place], name: str) -> None:
        fresh: dict[Place, socket.socket] = {}
        try:
            for place in wanted - self._sockets.keys():
                fresh[place] = _bound(place, name)
        except BaseException:
            for each in fresh.values():
                each.close()
            raise
        for place in self._sockets.keys() - wanted:
            self._sockets.pop(place).close()
        self._sockets |= fresh
        self._by_family = {place.family: each for place, each in self._sockets.items()}

    def start(self) -> None:
        """Begin, on the first loop thread of the default pool."""
        self._timer = eventer.alloc_timer(self._turn, 0.0, time.time())
        eventer.set_owner(self._timer, eventer.choose_owner(0))
        eventer.add(self._timer)

    def close(self) -> None:
        """Stop; from any thread."""
        with self._lock:
            timer, self._timer = self._timer, None
            if timer is not None:
                eventer.remove(timer)
            for each in self._sockets.values():
                each.close()
            self._sockets.clear()

    def _turn(self, event: Event, _mask: int, due: float, _now: float) -> int:
        """Take what came, send when it is *due* (steady seconds), find the dead."""
        with self._lock:
            if self._timer is not event:
                return 0  # it was closed a moment ago
            now = clock()
            period = self.cluster.spec.period
            more: list[socket.socket] = []
            try:
                more = [each for each in self._sockets.values() if self._take(each, now)]
                if period and now.steady >= due:
                    due = max(due + period, now.steady)
                    self._send(now)
                for update in self.cluster.check(now):
                    error.log(f"cluster '{self.cluster.name}': node {update[0].cn} ({update[0].id}) is dead\n")
                    self._tell(self.cluster, update)
            finally:  # whatever it is, the others are to hear that this member lives
                if self._timer is event:
                    self._timer = eventer.add_in(self._turn, due, 0.0 if more else (period or IDLE) / LOOKS)
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

    def _take(self, source: socket.socket, now: Clock) -> bool:
        """Take what came to *source*; whether there may be more."""
        for _ in range(BATCH):
            try:
                datagram, sender = source.recvfrom(LONGEST)
            except BlockingIOError:
                return False
            except OSError as failure:  # such as a port that was found closed by what we sent before
                if debug.enabled:
                    debug.log(f"cluster '{self.cluster.name}': {failure}\n")
                continue
            try:
                update = self.cluster.receive(datagram, sender[0], now)
            except Refused as refusal:
                told = f"datagram from {sender[0]}:{sender[1]} dropped ({refusal.reason}): {refusal}"
                self._complain(refusal.reason, sender[0], told)
                continue
            if update is not None:
                self._tell(self.cluster, update)
        return True

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
