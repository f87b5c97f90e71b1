"""Five members on a network that loses, delays, parts and repeats, while members crash, hang and have their clocks
set: when it is quiet again, everybody sees right."""

import random
from collections.abc import Iterator
from itertools import combinations
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runtime.cluster import Clock, Cluster, NodeSpec, Refused, Spec

SIZE = 5
IDS = [UUID(int=number) for number in range(1, SIZE + 1)]
ADDRESSES = [f"10.0.0.{number}" for number in range(SIZE)]
SPEC = Spec(
    name="five",
    key=b"key of five",
    seq=1,
    port=4000,
    period=0.2,
    timeout=1.0,
    maturity=1.0,
    check_address=True,
    nodes=tuple(NodeSpec(each, str(each), address, 4000) for each, address in zip(IDS, ADDRESSES, strict=True)),
)
TICK = 0.1
START = 1_795_773_000.0
members = st.integers(0, SIZE - 1)


class Member:
    def __init__(self, index: int, boot: int) -> None:
        self.boot = boot
        self.random = random.Random(index)
        self.running = True
        self.next_beat = 0.0
        self.cluster = Cluster(SPEC, IDS[index], lambda: self.boot, self.reboot)

    def reboot(self) -> int:
        self.boot += self.random.randrange(1, 1_000_000)
        return self.boot


class Five(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.random = random.Random(1)
        self.steps = [0.0] * SIZE
        self.members: list[Member | None] = [None] * SIZE
        self.newest = [0] * SIZE
        self.parted: set[frozenset[int]] = set()
        self.loss = 0.0
        self.repeats = False
        self.wire: list[tuple[float, int, int, bytes]] = []

    @initialize()
    def begin(self) -> None:
        for index in range(SIZE):
            self.boot(index)

    def boot(self, index: int) -> None:
        # A clock that was set back must not make a boot look earlier than the last: operators see to that, or wait.
        boot = max(int(self.clock(index).wall * 1e6), self.newest[index] + 1)
        self.newest[index] = boot
        self.members[index] = Member(index, boot)

    def clock(self, index: int) -> Clock:
        return Clock(START + self.time + self.steps[index], 100.0 * index + self.time)

    def run(self, seconds: float) -> None:
        end = self.time + seconds
        while self.time < end:
            self.time += TICK
            due = [each for each in self.wire if each[0] <= self.time]
            self.wire = [each for each in self.wire if each[0] > self.time]
            for _, source, target, datagram in due:
                self.deliver(source, target, datagram)
            for index in range(SIZE):
                self.turn(index)

    def turn(self, index: int) -> None:
        member = self.members[index]
        if member is None or not member.running:
            return
        if self.time >= member.next_beat:
            member.next_beat = self.time + SPEC.period
            made = member.cluster.beat(self.clock(index))
            assert made is not None
            self.newest[index] = max(self.newest[index], member.boot)
            for target in range(SIZE):
                if target != index:
                    self.post(index, target, made[0])
        member.cluster.check(self.clock(index))

    def post(self, source: int, target: int, datagram: bytes) -> None:
        if frozenset((source, target)) in self.parted or self.random.random() < self.loss:
            return
        delay = self.random.choice((0.0, 0.0, TICK)) if self.loss else 0.0
        self.wire.append((self.time + delay, source, target, datagram))
        if self.repeats:
            self.wire.append((self.time + self.random.uniform(0.0, 3.0), source, target, datagram))

    def deliver(self, source: int, target: int, datagram: bytes) -> None:
        member = self.members[target]
        if member is None or not member.running:
            return
        try:
            member.cluster.receive(datagram, ADDRESSES[source], self.clock(target))
        except Refused as refused:
            assert refused.reason in ("replay", "boot_time")

    @rule(seconds=st.floats(0.1, 3.0))
    def pass_time(self, seconds: float) -> None:
        self.run(seconds)

    @rule(index=members)
    def crash(self, index: int) -> None:
        self.members[index] = None

    @rule(index=members)
    def start(self, index: int) -> None:
        if self.members[index] is None:
            self.boot(index)

    @rule(index=members)
    def hang_or_go_on(self, index: int) -> None:
        member = self.members[index]
        if member is not None:
            member.running = not member.running

    @rule(pair=st.sampled_from(list(combinations(range(SIZE), 2))))
    def part(self, pair: tuple[int, int]) -> None:
        self.parted ^= {frozenset(pair)}

    @rule(alone=members)
    def isolate(self, alone: int) -> None:
        self.parted |= {frozenset((alone, each)) for each in range(SIZE) if each != alone}

    @rule(loss=st.sampled_from([0.0, 0.3, 0.9]), repeats=st.booleans())
    def weather(self, loss: float, repeats: bool) -> None:
        self.loss, self.repeats = loss, repeats

    @rule(index=members, step=st.floats(-0.9, 0.9))
    def set_clock(self, index: int, step: float) -> None:
        self.steps[index] = step

    @rule()
    def quiet(self) -> None:
        """All faults end, but for who crashed; after the timeout, a period and the ticks of this model everybody sees
        right."""
        self.parted, self.loss, self.repeats, self.wire = set(), 0.0, False, []
        for member in self.members:
            if member is not None:
                member.running = True
        self.run(SPEC.timeout + SPEC.period + 3 * TICK)
        alive = {index for index, member in enumerate(self.members) if member is not None}
        oldest = min(alive, key=lambda index: (self.boot_of(index), IDS[index]), default=None)
        for _, cluster in self.running():
            seen = {index for index, each in enumerate(IDS) if not cluster.node(each).dead}  # type: ignore[union-attr]
            assert seen == alive
            found = cluster.oldest_node()
            assert found is not None and oldest is not None and found.id == IDS[oldest]
            assert cluster.am_i_oldest_node() == (cluster.me == IDS[oldest])

    def boot_of(self, index: int) -> int:
        member = self.members[index]
        assert member is not None
        return member.boot

    def running(self) -> Iterator[tuple[int, Cluster]]:
        for index, member in enumerate(self.members):
            if member is not None and member.running:
                yield index, member.cluster

    @invariant()
    def nobody_sees_a_boot_that_never_was(self) -> None:
        for _, cluster in self.running():
            for index, each in enumerate(IDS):
                node = cluster.node(each)
                assert node is not None and node.boot_time <= self.newest[index]

    def teardown(self) -> None:
        if any(self.members):
            self.quiet()


TestFive = Five.TestCase
TestFive.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
