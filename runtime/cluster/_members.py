"""A cluster as one member sees it: who is alive since when, and what the others attached to their heartbeats.

It knows no sockets and no timers.  Datagrams and the time are handed in: the *wall* clock, epoch seconds, says how
old a boot is and when a node was heard; the *steady* clock, seconds from anywhere that never step, says how long
ago.  So a wall clock that is set anew kills and revives nobody.  Manual: ``mtev_cluster_*``."""

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from . import _stamp
from ._heartbeat import Heartbeat, Payloads, Refused, check_payloads, decode, encode
from ._ring import Ring
from ._spec import NodeSpec, Spec

REBOOTED, CHANGED_SEQ, CHANGED_PAYLOAD, DIED = 1, 2, 4, 8
"""What a node update is about, bits."""

REMEMBERED = 256
"""Heartbeats of a node that a replay is recognised among, where the sender does not number them."""

SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, as it is handed in."""

    wall: float
    steady: float


class Node:
    """A member as it was last heard.

    Attributes: ``id``, ``cn``, ``address``, ``port`` as configured and ``idx``, its place; ``boot_time``,
    microseconds of the epoch, 0 for a dead one; ``last_contact``, epoch seconds, 0.0 when it was never heard;
    ``seq``, of the configuration that it has; ``payloads``, {(application, key): bytes}."""

    __slots__ = (
        "_age",
        "_heard",
        "_newest",
        "_order",
        "_salts",
        "_stamp",
        "boot_time",
        "idx",
        "last_contact",
        "payloads",
        "seq",
        "spec",
    )

    def __init__(self, spec: NodeSpec, idx: int) -> None:
        self.spec = spec
        self.idx = idx
        self.boot_time = 0
        self.last_contact = 0.0
        self.seq = 0
        self.payloads: Payloads = {}
        self._newest = 0  # the newest boot ever heard of
        self._heard = 0.0  # steady
        self._age = 0.0  # steady: when the boot was, as far as its own clock is right
        self._stamp = 0
        self._salts: set[bytes] = set()
        self._order: deque[bytes] = deque()

    def __repr__(self) -> str:
        return f"<Node {self.cn} {'dead' if self.dead else 'alive'}>"

    @property
    def id(self) -> UUID:
        """Who it is."""
        return self.spec.id

    @property
    def cn(self) -> str:
        """Its canonical name."""
        return self.spec.cn

    @property
    def address(self) -> str:
        """Where it is, an IP address."""
        return self.spec.address

    @property
    def port(self) -> int:
        """Where it hears heartbeats, UDP."""
        return self.spec.port

    @property
    def dead(self) -> bool:
        """Whether it has not been heard for too long, or ever."""
        return self.boot_time == 0

    def described(self) -> dict[str, str | int | float | bool]:
        """What is known of it, for those who cannot hold it: times are seconds of the epoch."""
        return {
            "id": str(self.id),
            "cn": self.cn,
            "address": self.address,
            "port": self.port,
            "dead": self.dead,
            "boot_time": self.boot_time / SECOND,
            "last_contact": self.last_contact,
        }

    def _began(self, boot_time: int, now: Clock) -> None:
        """A boot that was not known so far."""
        self._newest = boot_time
        self._age = now.steady - max(0.0, now.wall - boot_time / SECOND)
        self._stamp = 0
        self._salts.clear()
        self._order.clear()

    def _seen(self, beat: Heartbeat, now: Clock) -> bool:
        """Whether *beat* came before; takes note of it."""
        stamp = _stamp.read(beat)
        if self._stamp or (stamp and abs(stamp / SECOND - now.wall) < _stamp.PLAUSIBLE and not self._order):
            if stamp <= self._stamp:
                return True
            self._stamp = stamp
            return False
        if beat.salt in self._salts:
            return True
        self._salts.add(beat.salt)
        self._order.append(beat.salt)
        if len(self._order) > REMEMBERED:
            self._salts.discard(self._order.popleft())
        return False


Update = tuple[Node, int, int]
"""A node, what is new about it, and the boot time it had before (microseconds)."""


class Cluster:
    """One cluster.  Its methods are for any thread.

    Attributes: ``spec``, its configuration; ``me``, the id of this member; ``refused``, datagrams dropped, by reason;
    ``received`` and ``sent``, heartbeats.

    *boot_time* gives this member's own in microseconds, *reboot* draws a later one."""

    def __init__(self, spec: Spec, me: UUID, boot_time: Callable[[], int], reboot: Callable[[], int]) -> None:
        self.spec = spec
        self.me = me
        self.refused: Counter[str] = Counter()
        self.received = 0
        self.sent = 0
        self._boot_time = boot_time
        self._reboot = reboot
        self._payloads: Payloads = {}
        self._last_stamp = 0
        self._lock = threading.RLock()
        self._nodes: dict[UUID, Node] = {}
        self._take(spec)

    def __repr__(self) -> str:
        return f"<Cluster {self.name} of {self.size}>"

    @property
    def name(self) -> str:
        """What it is called.  Manual: ``mtev_cluster_get_name``."""
        return self.spec.name

    @property
    def seq(self) -> int:
        """The sequence of its configuration.  Manual: ``mtev_cluster_get_config_seq``."""
        return self.spec.seq

    @property
    def size(self) -> int:
        """How many nodes it has, dead or alive.  Manual: ``mtev_cluster_size``."""
        return len(self._nodes)

    @property
    def myself(self) -> Node | None:
        """This member's node, None when the cluster does not list it."""
        return self._nodes.get(self.me)

    def described(self) -> str:
        """Its name, for those who cannot hold it."""
        return self.name

    def nodes(self, include_me: bool = True) -> list[Node]:
        """The nodes, in the order of the configuration.  Manual: ``mtev_cluster_get_nodes``."""
        return [each for each in self._nodes.values() if include_me or each.id != self.me]

    def node(self, node_id: UUID) -> Node | None:
        """The node of that id, or None.  Manual: ``mtev_cluster_get_node``."""
        return self._nodes.get(node_id)

    def oldest_node(self) -> Node | None:
        """The living node with the earliest boot; of equals that with the lower id.  Manual:
        ``mtev_cluster_get_oldest_node``."""
        living = [each for each in self.nodes() if not each.dead]
        return min(living, key=lambda each: (each.boot_time, each.id), default=None)

    def am_i_oldest_node(self) -> bool:
        """Whether that is this member.  Manual: ``mtev_cluster_am_i_oldest_node``."""
        oldest = self.oldest_node()
        return oldest is not None and oldest.id == self.me

    def owners(self, key: bytes, count: int = 1) -> list[Node]:
        """The *count* nodes that own *key*, dead or alive, the first owner first; asked for more than there are, the
        first comes once more.  Raises ValueError for a count outside 1 to 256.  Manual:
        ``mtev_cluster_filter_owners``."""
        with self._lock:
            nodes = list(self._nodes.values())
            return [nodes[each] for each in self._ring.owners(key, count)]

    def filter_owners(self, key: bytes, count: int, accepts: Callable[[Node], bool]) -> list[Node]:
        """Those of :meth:`owners` that *accepts* accepts."""
        return [each for each in self.owners(key, count) if accepts(each)]

    def do_i_own(self, key: bytes, count: int = 1) -> bool:
        """Whether this member is among the *count* owners of *key*.  Manual: ``mtev_cluster_do_i_own``."""
        return any(each.id == self.me for each in self.owners(key, count))

    def set_heartbeat_payload(self, application: int, key: int, data: bytes) -> bool:
        """Attach *data* to this member's heartbeats; whether there was none under these names before.

        Raises ValueError, and changes nothing, for names beyond a byte, more than 255 bytes, or more than fits in
        all. Manual: ``mtev_cluster_set_heartbeat_payload``."""
        with self._lock:
            changed = {**self._payloads, (application, key): bytes(data)}
            check_payloads(changed)
            fresh = (application, key) not in self._payloads
            self._payloads = changed
        return fresh

    def unset_heartbeat_payload(self, application: int, key: int) -> bool:
        """Take it off; False when there was none.  Manual: ``mtev_cluster_unset_heartbeat_payload``."""
        with self._lock:
            return self._payloads.pop((application, key), None) is not None

    def heartbeat_payload(self, node: Node, application: int, key: int) -> bytes | None:
        """What *node* attached under these names, or None.  Manual: ``mtev_cluster_get_heartbeat_payload``."""
        return node.payloads.get((application, key))

    def beat(self, now: Clock) -> tuple[bytes, Update | None] | None:
        """The next datagram of this member, one for everybody, and what is new by it, if anything.

        None where the cluster does not list this member."""
        with self._lock:
            myself = self.myself
            if myself is None:
                return None
            self._last_stamp = max(self._last_stamp + 1, int(now.wall * SECOND))
            beat = Heartbeat(self.me, self._boot_time(), self.seq, dict(self._payloads))
            datagram = encode(_stamp.stamped(beat, self._last_stamp), self.spec.key)
            return datagram, self._heard(myself, beat, now)

    def receive(self, datagram: bytes, address: str, now: Clock) -> Update | None:
        """Take a *datagram* that came from *address*; what is new by it, if anything.

        What is no heartbeat of a member is dropped and counted.  Raises :exc:`Refused`, for the log, where that is a
        fault of somebody."""
        with self._lock:
            try:
                return self._hear(decode(datagram, self.spec.key), address, now)
            except Refused as refusal:
                self.refused[refusal.reason] += 1
                if refusal.reason in _SILENT:
                    return None
                raise

    def check(self, now: Clock) -> list[Update]:
        """Who died: unheard for the timeout, and booted longer ago than the maturity."""
        died: list[Update] = []
        with self._lock:
            unheard, mature = now.steady - self.spec.timeout, now.steady - self.spec.maturity
            for node in self._nodes.values():
                if node.boot_time and node._heard < unheard and node._age < mature and node.spec.id != self.me:
                    died.append((node, DIED, node.boot_time))
                    node.boot_time = 0
        return died

    def update(self, spec: Spec) -> bool:
        """Take another configuration of the same name if its sequence is higher; whether it was.

        Nodes that stay keep what is known of them, and this member its payloads.  Manual: ``mtev_cluster_update``."""
        with self._lock:
            if spec.seq <= self.spec.seq:
                return False
            self._take(spec)
            return True

    def _take(self, spec: Spec) -> None:
        known = self._nodes
        fresh: dict[UUID, Node] = {}
        for idx, each in enumerate(spec.nodes):
            node = fresh[each.id] = known.get(each.id) or Node(each, idx)
            node.spec, node.idx = each, idx
        self._ring = Ring(str(each.id) for each in spec.nodes)
        self._nodes, self.spec = fresh, spec

    def _hear(self, beat: Heartbeat, address: str, now: Clock) -> Update | None:
        if beat.node_id == self.me:
            if beat.boot_time == self._boot_time():
                raise Refused("own", "this member's own heartbeat")
            raise Refused("own_id", f"{address} sends heartbeats under the id of this member")
        node = self._nodes.get(beat.node_id)
        if node is None:
            raise Refused("unknown_node", f"{beat.node_id} is not in the cluster")
        if self.spec.check_address and not node.spec.speaks_from(address):
            raise Refused("address", f"a heartbeat of {node.cn} came from {address}, not from {node.address}")
        if beat.boot_time == 0:
            raise Refused("boot_time", f"{node.cn} has no boot time")
        if beat.boot_time < node._newest:
            raise Refused("boot_time", f"{node.cn} booted earlier than it is known to have")
        if beat.boot_time > node._newest:
            if beat.boot_time > (now.wall + self.spec.timeout) * SECOND:
                raise Refused("boot_time", f"{node.cn} is to boot in the future")
            node._began(beat.boot_time, now)
        if node._seen(beat, now):
            raise Refused("replay", f"a heartbeat of {node.cn} came again")
        if beat.boot_time == self._boot_time():
            self._reboot()
        self.received += 1
        return self._heard(node, beat, now)

    def _heard(self, node: Node, beat: Heartbeat, now: Clock) -> Update | None:
        flags, before = 0, node.boot_time
        if beat.boot_time != before:
            flags |= REBOOTED
        if beat.seq != node.seq:
            flags |= CHANGED_SEQ
        if beat.payloads != node.payloads:
            flags |= CHANGED_PAYLOAD
        node.boot_time, node.seq, node.payloads = beat.boot_time, beat.seq, beat.payloads
        node.last_contact, node._heard = now.wall, now.steady
        return (node, flags, before) if flags else None


_SILENT = frozenset({"own", "unknown_node"})
