"""Laws of the structures: what hypothesis does to them, done to something plain beside them."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.util.btrie import Btrie
from runtime.util.cht import Cht
from runtime.util.flow_regulator import FlowRegulator, Toggle
from runtime.util.frrh import UINT_MAX, Frrh
from runtime.util.intern import MOST_BYTES, Pool
from runtime.util.lfu import Lfu
from runtime.util.sort import merge_sort

# Routes ------------------------------------------------------------------------------------------------------------


@st.composite
def networks(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        number, bits = draw(st.integers(0, 7)) << 29 | draw(st.integers(0, 3)), draw(st.integers(0, 32))
        return f"{ip_address(number)}/{bits}"
    return f"2001:db8:{draw(st.integers(0, 3)):x}::{draw(st.integers(0, 3)):x}/{draw(st.integers(0, 128))}"


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), networks())), st.lists(networks()))
def test_a_look_up_agrees_with_a_search_through_all_routes(steps: list[tuple[bool, str]], asked: list[str]) -> None:
    tree: Btrie[int] = Btrie()
    plain: dict[object, int] = {}
    for number, (goes, text) in enumerate(steps):
        net = ip_network(text, strict=False)
        if goes:
            assert tree.del_route(text) == (plain.pop(net, None) is not None)
        else:
            tree.add_route(text, number)
            plain[net] = number
    assert len(tree) == len(plain)
    for text in asked + [each for _, each in steps]:
        address = ip_address(text.split("/")[0])
        covering = [(net.prefixlen, data) for net, data in plain.items() if address in net]  # type: ignore[attr-defined, operator]
        found = tree.find_bpm_route(address)
        assert found == ((max(covering)[1], max(covering)[0]) if covering else None)
    tree.drop_tree()
    assert len(tree) == 0


def test_what_is_no_network_is_refused() -> None:
    tree: Btrie[int] = Btrie()
    for text in ("10.0.0.0/33", "::/129", "nonsense", "10.0.0/8"):
        with pytest.raises(ValueError, match="does not appear"):
            tree.add_route(text, 1)
    with pytest.raises(ValueError, match="does not appear"):
        tree.find_bpm_route("10.0.0.0/8")


# The least frequently used --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["get", "put", "remove", "invalidate"]), st.integers(0, 6)), max_size=60),
)
def test_an_lfu_gives_up_what_was_asked_for_least(most: int, steps: list[tuple[str, int]]) -> None:
    freed: list[int] = []
    cache: Lfu[int, int] = Lfu(most, freed.append)
    counts: dict[int, tuple[int, int, int]] = {}  # key -> count, moment, value
    for moment, (what, key) in enumerate(steps):
        before = len(freed)
        if what == "get":
            known = counts.get(key)
            assert cache.get(key) == (known[2] if known else None)
            if known:
                counts[key] = (known[0] + 1, moment, known[2])
        elif what == "put":
            gone = [counts.pop(key)[2]] if key in counts else []
            if len(counts) == most:
                gone = [counts.pop(min(counts, key=lambda each: counts[each][:2]))[2]]
            cache.put(key, moment)
            counts[key] = (1, moment, moment)
            assert freed[before:] == gone
        elif what == "remove":
            known = counts.pop(key, None)
            assert cache.remove(key) == (known[2] if known else None)
            assert len(freed) == before
        else:
            cache.invalidate()
            assert sorted(freed[before:]) == sorted(value for _, _, value in counts.values())
            counts.clear()
        assert cache.size() == len(counts) <= most
    with cache.iterate() as entries:
        assert dict(entries) == {key: value for key, (_, _, value) in counts.items()}


def test_an_lfu_of_any_size_gives_nothing_up() -> None:
    cache: Lfu[int, int] = Lfu(-1)
    for number in range(1000):
        cache.put(number, number)
    assert len(cache) == 1000
    for size in (0, -2):
        with pytest.raises(ValueError, match="at least one entry"):
            Lfu(size)


# Flow ----------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(1, 4), st.lists(st.sampled_from(["raise", "lower", "ack"]), max_size=80))
def test_a_flow_is_told_off_and_on_in_turn_and_never_overflows(low: int, more: int, steps: list[str]) -> None:
    flow = FlowRegulator(low, low + more)
    told: list[Toggle] = []
    waiting: list[Toggle] = []

    def hear(toggle: Toggle) -> None:
        if toggle in (Toggle.ENABLE, Toggle.DISABLE):
            assert not waiting  # one caller at a time
            assert toggle is (Toggle.DISABLE if not told or told[-1] is Toggle.ENABLE else Toggle.ENABLE)
            told.append(toggle)
            waiting.append(toggle)

    for step in steps:
        before = flow.under_way
        if step == "raise":
            result = flow.raise_one()
            assert flow.under_way == before + (result is Toggle.KEEP)
            hear(result)
        elif step == "lower" and before:
            hear(flow.lower())
            assert flow.under_way == before - 1
        elif step == "ack" and waiting:
            hear(flow.ack(waiting.pop()))
        assert 0 <= flow.under_way <= low + more
    while waiting:
        hear(flow.ack(waiting.pop()))
    while flow.under_way:
        flow.stable_lower()
    assert flow.stable_try_raise_one()


def test_a_stable_flow_says_when_to_go_on() -> None:
    flow = FlowRegulator(1, 3)
    assert [flow.stable_try_raise_one() for _ in range(5)] == [True, True, True, False, False]
    assert [flow.stable_lower(), flow.stable_lower()] == [False, True]
    assert flow.stable_try_raise_one()
    with pytest.raises(ValueError, match="cannot be done"):
        flow.lower(3)
    for low, high in ((1, 1), (2, 1), (-1, 4)):
        with pytest.raises(ValueError, match="goes on at fewer"):
            FlowRegulator(low, high)


# Interned bytes ------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=2))))
def test_a_pool_counts_who_holds_what(steps: list[tuple[bool, bytes]]) -> None:
    pool, counts = Pool(), dict[bytes, int]()
    for holds, data in steps:
        if holds:
            assert pool.intern(data) is pool.intern(data)
            counts[data] = counts.get(data, 0) + 2
        elif data in counts:
            item = pool.intern(data)
            pool.release(item)
            pool.release(item)
            counts[data] -= 1
            if not counts[data]:
                del counts[data]
                with pytest.raises(ValueError, match="released"):
                    pool.release(item)
        for each, count in counts.items():
            item = pool.intern(each)
            assert pool.refcnt(item) == count + 1
            pool.release(item)
        assert pool.item_count() == len(counts)
        assert pool.stats().allocated == sum(map(len, counts))


def test_pools_are_apart_and_items_have_a_size() -> None:
    one, other = Pool(), Pool()
    item = one.intern("text")
    assert item.data == b"text"
    with pytest.raises(ValueError, match="another pool"):
        other.release(item)
    for data in (b"", bytes(MOST_BYTES + 1)):
        with pytest.raises(ValueError, match="can be interned"):
            one.intern(data)


# Random replacement --------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.tuples(st.binary(max_size=2), st.integers())))
def test_a_replacement_hash_never_gives_anothers_data(size: int, pairs: list[tuple[bytes, int]]) -> None:
    always, never = Frrh[int](size, UINT_MAX), Frrh[int](size, 0)
    last, first = dict[bytes, int](), dict[bytes, int]()
    for key, data in pairs:
        assert always.set(key, data)
        last[key] = data
        if never.set(key, data):
            first[key] = data
        assert always.get(key) == data
    for key in last:
        assert always.get(key) in (None, last[key])
        assert never.get(key) == first.get(key)
    accesses, hits = never.stats()
    assert (accesses, hits) == (len(last), len(first))
    assert len(first) <= size


def test_a_probability_has_bounds() -> None:
    with pytest.raises(ValueError, match="a probability is"):
        Frrh[int](1, UINT_MAX + 1)
    with pytest.raises(ValueError, match="at least one place"):
        Frrh[int](0, 1)


# Order ---------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(0, 5)))
def test_a_linked_list_is_sorted_and_equal_nodes_keep_their_order(values: list[int]) -> None:
    nodes = list(enumerate(values))
    after: dict[tuple[int, int], tuple[int, int] | None] = dict(zip(nodes, [*nodes[1:], None], strict=False))
    head = merge_sort(nodes[0] if nodes else None, after.__getitem__, after.__setitem__, lambda a, b: a[1] - b[1])
    found = []
    while head is not None:
        found.append(head)
        head = after[head]
    assert found == sorted(nodes, key=lambda node: node[1])


# The ring ------------------------------------------------------------------------------------------------------------


def test_a_ring_shares_keys_out_and_moves_few() -> None:
    ring = Cht()
    assert ring.lookup(b"key") is None
    assert ring.set_nodes([f"node{each}" for each in range(8)]) == 8
    assert sum(ring.owned().values()) == pytest.approx(1)
    keys = [str(each).encode() for each in range(500)]
    before = [ring.lookup(key) for key in keys]
    ring.set_nodes([f"node{each}" for each in range(9)])
    after = [ring.lookup(key) for key in keys]
    moved = {new for old, new in zip(before, after, strict=True) if old != new}
    assert moved == {"node8"}
    assert len(set(ring.lookup_n(b"key", 20))) == 9
    with pytest.raises(ValueError, match="at least one owner"):
        ring.lookup_n(b"key", 0)
    with pytest.raises(ValueError, match="named twice"):
        ring.set_nodes(["a", "a"])
