import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from runtime.cluster import Heartbeat, Refused, decode, encode

RECORDED = Path(__file__).parents[2] / "data" / "cluster"
KEY = b"a cluster key for tests"
NODE = UUID("bbbbbbbb-0000-4000-8000-000000000002")
BEAT = Heartbeat(NODE, 1795773136_726885, 1, {(1, 1): b"one", (1, 2): b""})


def recorded(name: str) -> Any:
    return json.loads((RECORDED / name).read_text())


def sealed(text: bytes, key: bytes = KEY, pad: bool = True) -> bytes:
    """*text* as a datagram, whatever it is."""
    if pad:
        padding = 16 - len(text) % 16
        text += bytes((padding,)) * padding
    vector = os.urandom(16)
    encryptor = Cipher(algorithms.AES(key[:31].ljust(32, b"\0")), modes.CBC(vector)).encryptor()
    body = vector + encryptor.update(text) + encryptor.finalize()
    return len(body).to_bytes(4, "big") + body


def inner(head: bytes, rest: bytes = b"") -> bytes:
    return os.urandom(8) + bytes.fromhex("7eb9a4432882edba") + head + rest


def head(version: int = 0x11, seconds: int = 1795773136, micros: int = 7, seq: int = 1, count: int = 0) -> bytes:
    boot = seconds.to_bytes(5, "big") + micros.to_bytes(3, "big")
    return bytes((version,)) + NODE.bytes + boot + seq.to_bytes(8, "big") + bytes((count,))


def reason(datagram: bytes, key: bytes = KEY) -> str:
    with pytest.raises(Refused) as refused:
        decode(datagram, key)
    assert str(refused.value)
    return refused.value.reason


def test_every_recorded_datagram_is_read_as_it_was_decoded() -> None:
    document = recorded("datagrams.json")
    key = document["key"].encode()
    for each in document["datagrams"]:
        beat, wanted = decode(bytes.fromhex(each["hex"]), key), each["decoded"]
        assert str(beat.node_id) == wanted["node_id"]
        assert beat.boot_time == wanted["boot_sec"] * 1_000_000 + wanted["boot_usec"]
        assert (beat.seq, beat.salt.hex()) == (wanted["seq"], wanted["random8"])
        assert [(app, name, data.hex()) for (app, name), data in beat.payloads.items()] == [
            (payload["app"], payload["key"], payload["data_hex"]) for payload in wanted["payloads"]
        ]
        assert decode(encode(beat, key), key) == beat
        assert len(encode(beat, key)) == wanted["length_field"] + 4


def test_what_the_original_refused_is_refused() -> None:
    document = recorded("heartbeats-refused.json")
    taken = {"good heartbeat of B, boot 50 s ago", "header only, count 0", "version byte 0x12", "newer boot time"}
    taken |= {"unknown node id"}  # a whole heartbeat: who knows the nodes decides
    for each in document["rows"]:
        if "hex" not in each:
            continue
        if each["case"] in taken:
            assert decode(bytes.fromhex(each["hex"]), document["key"].encode())
        else:
            assert reason(bytes.fromhex(each["hex"]), document["key"].encode()), each["case"]


def test_the_key_is_its_first_31_bytes() -> None:
    long = b"k" * 31
    assert decode(encode(BEAT, long + b"more"), long).node_id == NODE
    assert reason(encode(BEAT, long), b"k" * 30) in ("decrypt", "magic")
    assert decode(encode(BEAT, b"short"), b"short\0").node_id == NODE


@pytest.mark.parametrize(
    ("payloads", "fits"),
    [
        ({(1, n): b"x" * 252 for n in range(6)}, True),
        ({(1, n): b"x" * 252 for n in range(6)} | {(1, 6): b"x"}, False),
        ({(1, 1): b"x" * 255}, True),
        ({(1, 1): b"x" * 256}, False),
        ({(0, 0): b"", (255, 255): b""}, True),
        ({(256, 0): b""}, False),
        ({(0, -1): b""}, False),
        ({(1, n): b"" for n in range(255)}, True),
        ({(n // 128, n % 128): b"" for n in range(256)}, False),
    ],
)
def test_payloads_at_their_limits(payloads: dict[tuple[int, int], bytes], fits: bool) -> None:
    beat = replace(BEAT, payloads=payloads)
    if fits:
        assert decode(encode(beat, KEY), KEY).payloads == payloads
    else:
        with pytest.raises(ValueError, match="payload"):
            encode(beat, KEY)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (inner(head(0x11)), None),
        (inner(head(0x1F)), None),
        (inner(head(0x10)), "version"),
        (inner(head(0x01)), "version"),
        (inner(head(0x21)), "version"),
        (inner(head(micros=999_999)), None),
        (inner(head(micros=1_000_000)), "boot_time"),
        (inner(head(seconds=2**40 - 1)), None),
        (inner(head(seq=2**64 - 1)), None),
        (inner(head(count=1), b"\1\1\3one"), None),
        (inner(head(count=1), b"\1\1\4one"), "count"),
        (inner(head(count=1), b"\1\1\2one"), "length"),
        (inner(head(count=0), b"x"), "length"),
        (inner(head(count=1), b"\1\1"), "count"),
        (inner(head(count=255), b"\1\1\0" * 84), "count"),
        (inner(head(count=2), b"\1\1\1\1\1\1ab"), "count"),
        (inner(head(count=2), b"\1\1\1\1\2\xffab"), "count"),
        (inner(head()[:-1]), "short"),
        (inner(b""), "short"),
        (b"x" * 15, "magic"),
        (b"", "magic"),
        (bytes(8) + bytes.fromhex("2882edba7eb9a443") + head(), "magic"),
        (bytes(8) + bytes.fromhex("43a4b97ebaed8228") + head(), "magic"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value or "taken",
)
def test_each_field_at_its_limits_and_beyond(text: bytes, wanted: str | None) -> None:
    if wanted is None:
        assert decode(sealed(text), KEY).node_id == NODE
    else:
        assert reason(sealed(text)) == wanted


@pytest.mark.parametrize("last", [0, 17, 255])
def test_bad_padding_is_another_key(last: int) -> None:
    text = inner(head())
    text += bytes(-len(text) % 16 or 16)
    assert reason(sealed(text[:-1] + bytes((last,)), pad=False)) == "decrypt"


def test_what_is_cut_or_lengthened_is_refused() -> None:
    datagram = encode(BEAT, KEY)
    for length in range(len(datagram)):
        assert reason(datagram[:length]) in ("short", "length")
    assert reason(datagram + b"\0") == "length"
    shorter = datagram[:-16]
    assert reason((len(shorter) - 4).to_bytes(4, "big") + shorter[4:])


@given(st.binary(max_size=400))
def test_no_bytes_do_more_than_be_refused(datagram: bytes) -> None:
    for each in (datagram, len(datagram).to_bytes(4, "big") + datagram, sealed(datagram), sealed(inner(datagram))):
        try:
            decode(each, KEY)
        except Refused as refused:
            assert refused.reason


@given(
    st.uuids(),
    st.integers(0, 2**40 - 1),
    st.integers(0, 999_999),
    st.integers(0, 2**64 - 1),
    st.dictionaries(st.tuples(st.integers(0, 255), st.integers(0, 255)), st.binary(max_size=100), max_size=15),
)
def test_what_is_sent_is_what_is_read(
    node_id: UUID, seconds: int, micros: int, seq: int, payloads: dict[tuple[int, int], bytes]
) -> None:
    beat = Heartbeat(node_id, seconds * 1_000_000 + micros, seq, payloads, b"12345678")
    assert decode(encode(beat, KEY), KEY) == beat
