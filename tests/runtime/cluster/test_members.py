"""One member's view, the time and the datagrams handed in."""

from dataclasses import replace
from uuid import UUID

import pytest

from runtime.cluster import (
    CHANGED_PAYLOAD,
    CHANGED_SEQ,
    DIED,
    REBOOTED,
    Clock,
    Cluster,
    Heartbeat,
    NodeSpec,
    Refused,
    Spec,
    alive_filter,
    encode,
)

KEY = b"the key of these tests"
IDS = [UUID(f"{letter * 8}-0000-4000-8000-{number:012}") for number, letter in enumerate("abcd", 1)]
SPEC = Spec(
    name="ponies",
    key=KEY,
    seq=1,
    port=4000,
    period=0.2,
    timeout=1.0,
    maturity=1.0,
    check_address=True,
    nodes=tuple(NodeSpec(each, f"node-{index}", f"10.0.0.{index}", 4000) for index, each in enumerate(IDS)),
)
START = 1_795_773_000.0
SECOND = 1_000_000


class Member:
    """A cluster with a clock of its own, and nothing else of the world."""

    def __init__(self, index: int, spec: Spec = SPEC, boot: float = START) -> None:
        self.boot = int(boot * SECOND)
        self.address = f"10.0.0.{index}"
        self.cluster = Cluster(spec, IDS[index], lambda: self.boot, self.reboot)

    def reboot(self) -> int:
        self.boot += 17
        return self.boot

    def beat(self, now: Clock) -> bytes:
        made = self.cluster.beat(now)
        assert made is not None
        return made[0]


def at(seconds: float, step: float = 0.0) -> Clock:
    """So many seconds after the start, by a wall clock that was set forward by *step*."""
    return Clock(START + seconds + step, 5000.0 + seconds)


def heartbeat(
    index: int, boot: float = START, seq: int = 1, payloads: dict[tuple[int, int], bytes] | None = None
) -> bytes:
    return encode(Heartbeat(IDS[index], int(boot * SECOND), seq, payloads or {}), KEY)


def refusal(member: Member, datagram: bytes, address: str, now: Clock) -> str:
    with pytest.raises(Refused) as refused:
        member.cluster.receive(datagram, address, now)
    return refused.value.reason


def test_a_node_is_heard_and_dies_and_comes_back() -> None:
    me = Member(0)
    node = me.cluster.node(IDS[1])
    assert node is not None and node.dead and node.last_contact == 0
    assert me.cluster.receive(heartbeat(1), "10.0.0.1", at(2)) == (node, REBOOTED | CHANGED_SEQ, 0)
    assert not node.dead and node.last_contact == START + 2
    assert me.cluster.check(at(3.0)) == []  # exactly the timeout is not more than it
    assert me.cluster.check(at(3.01)) == [(node, DIED, int(START * SECOND))]
    assert me.cluster.check(at(4)) == []  # told once
    assert node.dead and node.boot_time == 0 and node.last_contact == START + 2
    assert me.cluster.receive(heartbeat(1), "10.0.0.1", at(5)) == (node, REBOOTED, 0)
    assert not node.dead


def test_a_young_node_is_given_time_until_its_maturity() -> None:
    me = Member(0, replace(SPEC, maturity=10.0))
    me.cluster.receive(heartbeat(1, START + 1), "10.0.0.1", at(2))
    assert me.cluster.check(at(10.9)) == []
    assert [flags for _, flags, _ in me.cluster.check(at(11.1))] == [DIED]


def test_what_changed_is_told() -> None:
    me = Member(0)
    node = me.cluster.node(IDS[1])
    me.cluster.receive(heartbeat(1), "10.0.0.1", at(1))
    assert me.cluster.receive(heartbeat(1), "10.0.0.1", at(1.2)) is None
    assert me.cluster.receive(heartbeat(1, seq=2), "10.0.0.1", at(1.4)) == (node, CHANGED_SEQ, int(START * SECOND))
    changed = me.cluster.receive(heartbeat(1, seq=2, payloads={(7, 9): b"x"}), "10.0.0.1", at(1.6))
    assert changed == (node, CHANGED_PAYLOAD, int(START * SECOND))
    assert node is not None and me.cluster.heartbeat_payload(node, 7, 9) == b"x"
    assert me.cluster.heartbeat_payload(node, 7, 8) is None
    rebooted = me.cluster.receive(heartbeat(1, START + 1, seq=2, payloads={(7, 9): b"x"}), "10.0.0.1", at(1.8))
    assert rebooted == (node, REBOOTED, int(START * SECOND))


def test_a_heartbeat_counts_only_from_its_nodes_address() -> None:
    me = Member(0)
    assert refusal(me, heartbeat(1), "10.0.0.2", at(1)) == "address"
    assert me.cluster.receive(heartbeat(1), "10.0.0.1", at(1)) is not None
    lifted = Member(0, replace(SPEC, check_address=False))
    assert lifted.cluster.receive(heartbeat(1), "192.0.2.1", at(1)) is not None
    assert me.cluster.refused == {"address": 1}


def test_nobody_speaks_under_the_own_id() -> None:
    me = Member(0)
    assert refusal(me, heartbeat(0, START - 5), "10.0.0.0", at(1)) == "own_id"
    assert me.cluster.receive(me.beat(at(1)), "10.0.0.0", at(1)) is None  # its own, come back
    assert me.cluster.refused == {"own_id": 1, "own": 1}


def test_unknown_nodes_are_ignored_in_silence_and_counted() -> None:
    me = Member(0)
    stranger = encode(Heartbeat(UUID(int=7), int(START * SECOND), 1), KEY)
    assert me.cluster.receive(stranger, "10.0.0.1", at(1)) is None
    assert me.cluster.refused == {"unknown_node": 1}


@pytest.mark.parametrize(
    ("boot", "taken"),
    [(0.0, False), (START + 2, True), (START + 2.000001, False), (START - 86400 * 365, True), (1e-6, True)],
)
def test_boot_times_at_their_limits(boot: float, taken: bool) -> None:
    me = Member(0)
    datagram = encode(Heartbeat(IDS[1], round(boot * SECOND), 1), KEY)
    if taken:
        assert me.cluster.receive(datagram, "10.0.0.1", at(1)) is not None
    else:
        assert refusal(me, datagram, "10.0.0.1", at(1)) == "boot_time"


def test_no_boot_before_the_newest_known_counts_even_of_the_dead() -> None:
    me = Member(0)
    me.cluster.receive(heartbeat(1, START), "10.0.0.1", at(1))
    older = encode(Heartbeat(IDS[1], int(START * SECOND) - 1, 1), KEY)
    assert refusal(me, older, "10.0.0.1", at(1.1)) == "boot_time"
    me.cluster.check(at(9))
    assert refusal(me, older, "10.0.0.1", at(10)) == "boot_time"


def test_replays_are_dropped_whoever_sent_the_original() -> None:
    me, other = Member(0), Member(1)
    numbered = [other.beat(at(1 + each / 5)) for each in range(1000)]
    for each in numbered:
        me.cluster.receive(each, "10.0.0.1", at(1))
    for each in (numbered[-1], numbered[0], numbered[500]):
        assert refusal(me, each, "10.0.0.1", at(2)) == "replay"
    unnumbered = [heartbeat(2) for _ in range(200)]  # as the original's, with nothing but salt in front
    for each in unnumbered:
        me.cluster.receive(each, "10.0.0.2", at(1))
    for each in unnumbered:
        assert refusal(me, each, "10.0.0.2", at(2)) == "replay"
    # Who numbers its heartbeats is not believed one without.
    assert refusal(me, heartbeat(1, other.boot / SECOND), "10.0.0.1", at(3)) == "replay"


def test_a_replay_keeps_no_dead_node_alive() -> None:
    me, other = Member(0), Member(1)
    datagram = other.beat(at(1))
    me.cluster.receive(datagram, "10.0.0.1", at(1))
    for tenth in range(10, 30):
        refusal(me, datagram, "10.0.0.1", at(tenth / 10))
        me.cluster.check(at(tenth / 10))
    node = me.cluster.node(IDS[1])
    assert node is not None and node.dead


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
def test_a_wall_clock_that_is_set_kills_and_revives_nobody(step: float) -> None:
    me, other = Member(0), Member(1)
    me.cluster.receive(other.beat(at(1)), "10.0.0.1", at(1))
    node = me.cluster.node(IDS[1])
    assert node is not None
    for tick in range(6, 20):
        now = at(tick / 5, step)
        me.cluster.receive(other.beat(at(tick / 5)), "10.0.0.1", now)
        assert me.cluster.check(now) == [] and not node.dead
    for tick in range(20, 30):
        me.cluster.check(at(tick / 5, step))
    assert node.dead  # and one that fell silent dies in its time


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
def test_the_clock_of_a_sender_may_be_set(step: float) -> None:
    me, other = Member(0), Member(1)
    me.cluster.receive(other.beat(at(1)), "10.0.0.1", at(1))
    for tick in range(6, 40):
        me.cluster.receive(other.beat(at(tick / 5, step)), "10.0.0.1", at(tick / 5))
    assert not me.cluster.check(at(8)) and not me.cluster.refused


def test_of_two_with_one_boot_time_the_one_that_hears_draws_another() -> None:
    me, other = Member(0), Member(1)
    before = me.boot
    me.cluster.receive(other.beat(at(1)), "10.0.0.1", at(1))
    assert me.boot > before
    assert other.cluster.receive(me.beat(at(1.1)), "10.0.0.0", at(1.1)) is not None
    assert other.boot == before


def test_the_oldest_is_the_earliest_boot_among_the_living() -> None:
    me = Member(0, boot=START - 10)
    assert me.cluster.oldest_node() is None and not me.cluster.am_i_oldest_node()
    me.beat(at(0))
    assert me.cluster.am_i_oldest_node()
    me.cluster.receive(heartbeat(1, START - 20), "10.0.0.1", at(1))
    me.cluster.receive(heartbeat(2, START - 20), "10.0.0.2", at(1))
    oldest = me.cluster.oldest_node()
    assert oldest is not None and oldest.id == IDS[1]  # of two, the lower id
    me.cluster.receive(heartbeat(2, START - 20), "10.0.0.2", at(2.5))
    me.cluster.check(at(2.6))
    assert me.cluster.oldest_node() is me.cluster.node(IDS[2])
    me.cluster.check(at(9))
    assert me.cluster.am_i_oldest_node()


def test_an_update_keeps_who_lives_and_what_is_attached() -> None:
    me = Member(0)
    me.cluster.set_heartbeat_payload(1, 2, b"kept")
    me.cluster.receive(heartbeat(1, payloads={(3, 4): b"its"}), "10.0.0.1", at(1))
    moved = replace(SPEC.nodes[1], cn="renamed")
    assert not me.cluster.update(replace(SPEC, seq=1, nodes=(moved,)))
    assert not me.cluster.update(replace(SPEC, seq=0, nodes=(moved,)))
    assert me.cluster.size == 4
    assert me.cluster.update(replace(SPEC, seq=2, nodes=(SPEC.nodes[0], moved)))
    assert (me.cluster.size, me.cluster.seq) == (2, 2)
    node = me.cluster.node(IDS[1])
    assert node is not None and node.cn == "renamed" and not node.dead and node.payloads == {(3, 4): b"its"}
    assert me.cluster.myself is not None
    me.beat(at(1.5))
    assert me.cluster.myself.payloads == {(1, 2): b"kept"}


def test_who_is_not_listed_says_nothing_but_listens() -> None:
    me = Member(3, replace(SPEC, nodes=SPEC.nodes[:2]))
    assert me.cluster.beat(at(1)) is None and me.cluster.myself is None
    assert me.cluster.receive(heartbeat(1), "10.0.0.1", at(1)) is not None
    assert not me.cluster.do_i_own(b"key", 256)


def test_payloads_are_set_replaced_and_taken_off() -> None:
    cluster = Member(0).cluster
    assert cluster.set_heartbeat_payload(1, 1, b"a") and not cluster.set_heartbeat_payload(1, 1, b"b")
    for key in range(2, 8):
        cluster.set_heartbeat_payload(1, key, b"x" * 251)
    cluster.set_heartbeat_payload(1, 8, b"x" * 5)  # 1512 bytes
    with pytest.raises(ValueError, match="1513"):
        cluster.set_heartbeat_payload(1, 9, b"x")
    assert cluster.unset_heartbeat_payload(1, 2) and not cluster.unset_heartbeat_payload(1, 2)
    assert cluster.set_heartbeat_payload(1, 9, b"x")


def test_owners_are_nodes_and_may_be_filtered() -> None:
    me = Member(0)
    me.beat(at(0))
    owners = me.cluster.owners(b"some key", 4)
    assert {each.id for each in owners} == set(IDS)
    assert me.cluster.filter_owners(b"some key", 4, alive_filter) == [me.cluster.myself]
    assert me.cluster.do_i_own(b"some key", 4)
    assert me.cluster.do_i_own(b"some key") == (owners[0].id == IDS[0])
    assert [each.id for each in me.cluster.nodes(include_me=False)] == IDS[1:]


def test_groups_speak_from_anywhere() -> None:
    group = NodeSpec(IDS[1], "group", "239.1.2.3", 4000)
    me = Member(0, replace(SPEC, nodes=(SPEC.nodes[0], group)))
    assert me.cluster.receive(heartbeat(1), "192.0.2.9", at(1)) is not None
