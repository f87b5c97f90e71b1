"""Lines of the access log, of answers that were complete at one time and have much in common."""

from itertools import product

import pytest

from runtime.http.ledger.access import lines
from runtime.http.ledger.entry import Entry
from runtime.http.message.peer import Peer

NOON = 1_795_780_800.0
PEERS = [Peer("192.0.2.1"), Peer("192.0.2.2")]


def entry(peer: Peer, user: bytes | None, received: float, finished: float) -> Entry:
    return Entry(peer, b"GET", b"/x", b"HTTP/1.1", user, received, finished, 200, 10, 0, None, None)


DIFFERENT = [
    entry(*each)
    for each in product(PEERS, (b"alice", b"bob", None), (NOON - 0.001, NOON - 0.002), (NOON, NOON + 1.0, NOON + 1.5))
]


@pytest.mark.parametrize("first", range(len(DIFFERENT)))
def test_a_line_is_the_same_whatever_stands_before_it(first: int) -> None:
    for second in DIFFERENT:
        together = lines([DIFFERENT[first], second, second])
        (alone,) = lines([second])
        assert together == [*lines([DIFFERENT[first]]), alone, alone]


def test_a_line_has_who_when_what_and_how_much() -> None:
    (line,) = lines([entry(PEERS[0], b'al"ice\n', NOON - 0.0015, NOON)])
    who, _, rest = line.partition(" [")
    assert who == r"192.0.2.1 - al\x22ice\x0a"
    assert rest.partition("] ")[2] == '"GET /x HTTP/1.1" 200 10|0 1.500\n'
