import json
from pathlib import Path

import pytest

from runtime.cluster import Ring
from runtime.cluster._ring import _apart

RECORDED = Path(__file__).parents[2] / "data" / "cluster"


@pytest.mark.parametrize("size", [1, 3, 5])
def test_owners_are_those_of_the_original(size: int) -> None:
    recorded = json.loads((RECORDED / f"ownership-{size}.json").read_text())
    ring = Ring(recorded["nodes"])
    asked = {key: [ring.owners(key.encode(), count) for count in (1, 2, 3)] for key in recorded["owners"]}
    assert asked == recorded["owners"]
    assert ring.shares() == pytest.approx([float(each) for each in recorded["share_of_ring"].values()], abs=1e-9)


def test_ids_count_in_lower_case() -> None:
    recorded = json.loads((RECORDED / "ownership-3.json").read_text())
    upper, lower = Ring(each.upper() for each in recorded["nodes"]), Ring(recorded["nodes"])
    assert [upper.owners(key.encode(), 3) for key in recorded["owners"]] == [
        lower.owners(key.encode(), 3) for key in recorded["owners"]
    ]


def test_equal_points_are_moved_apart() -> None:
    assert _apart([5, 7, 7, 7, 9]) == [4, 5, 6, 7, 9]
    assert _apart([0, 0, 0, 4]) == [0, 1, 2, 4]
    assert _apart([0, 0, 1, 1, 4]) == [0, 1, 2, 3, 4]
    assert _apart([]) == []


def test_when_one_of_ten_nodes_leaves_only_its_keys_move() -> None:
    ids = [f"{number:08x}-0000-4000-8000-{number * 7919:012x}" for number in range(1, 11)]
    left = ids[:4] + ids[5:]
    ten, nine = Ring(ids), Ring(left)
    moved = 0
    for number in range(100_000):
        key = b"key %d" % number
        before, after = ids[ten.owners(key)[0]], left[nine.owners(key)[0]]
        if before != after:
            assert before == ids[4]
            moved += 1
    assert moved / 100_000 <= ten.shares()[4] + 0.005  # the share of the ring, and the scatter of keys on it


@pytest.mark.parametrize("count", [0, -1, 257])
def test_a_number_of_owners_outside_the_limits_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match=str(count)):
        Ring(["6513270e-269e-4d37-b2a7-4de452e6b438"]).owners(b"key", count)


def test_the_first_owner_comes_once_more_and_nobody_owns_in_an_empty_cluster() -> None:
    ring = Ring(["6513270e-269e-4d37-b2a7-4de452e6b438", "36f675cc-81e7-4ef5-a8e2-5d940ed90475"])
    found = ring.owners(b"key", 256)
    assert len(found) == 3 and found[0] == found[2] and set(found) == {0, 1}
    assert Ring([]).owners(b"key", 3) == []
