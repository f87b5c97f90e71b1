"""Inflating streams: any stream cut anywhere, and a bomb that must not take memory."""

import gzip
import tracemalloc
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luamtev.api.gunzip import Inflater


def compressed(data: bytes, wbits: int) -> bytes:
    compressor = zlib.compressobj(wbits=wbits)
    return compressor.compress(data) + compressor.flush()


@given(
    members=st.lists(st.binary(max_size=300), min_size=1, max_size=3),
    wbits=st.sampled_from([zlib.MAX_WBITS, -zlib.MAX_WBITS, 16 + zlib.MAX_WBITS]),
    cuts=st.lists(st.integers(0, 400)),
    trailing=st.sampled_from([b"", b"x", b"trailing bytes"]),
)
def test_a_stream_cut_anywhere_gives_what_was_compressed(
    members: list[bytes], wbits: int, cuts: list[int], trailing: bytes
) -> None:
    members = members if wbits > zlib.MAX_WBITS else members[:1]
    stream = b"".join(compressed(member, wbits) for member in members) + trailing
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    inflater = Inflater()
    pieces = [inflater.inflate(stream[a:b], 1 << 20) for a, b in pairwise(edges)]
    assert None not in pieces
    assert b"".join(piece for piece in pieces if piece) == b"".join(members)


@given(garbage=st.binary(max_size=200))
def test_garbage_is_bytes_or_an_error_for_good(garbage: bytes) -> None:
    inflater = Inflater()
    try:
        made = inflater.inflate(garbage, 1 << 16)
    except OverflowError:
        made = None
    if made is None:
        assert inflater.inflate(gzip.compress(b"good"), 100) is None


def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(200 << 20), compresslevel=9)
    tracemalloc.start()
    try:
        with pytest.raises(OverflowError):
            Inflater().inflate(bomb, 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_many_members_in_one_piece_are_one_stream() -> None:
    stream = gzip.compress(b"ab") * 3000
    assert Inflater().inflate(stream, 10000) == b"ab" * 3000
