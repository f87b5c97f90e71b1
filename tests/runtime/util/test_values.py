"""Encodings, tables, buffers, clocks and the like: the manual's returns and corners."""

import base64
import os
import stat
import uuid
from pathlib import Path

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.util import clock, encodings, rand, uuids
from runtime.util.dyn_buffer import DynBuffer
from runtime.util.files import mkdir_for_file
from runtime.util.getip import getip_ipv4
from runtime.util.hash import Hash, hash_of
from runtime.util.huge_hash import HugeHash


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_come_back(data: bytes) -> None:
    assert encodings.b64_decode(encodings.b64_encode(data)) == data
    assert encodings.b32_decode(encodings.b32_encode(data)) == data
    assert encodings.url_decode(encodings.url_encode(data)) == data
    assert encodings.b64_decode(base64.urlsafe_b64encode(data)) == data
    assert encodings.b32_decode(base64.b32encode(data).lower()) == data


@settings(deadline=None)
@given(st.binary())
def test_nothing_that_is_decoded_raises(text: bytes) -> None:
    encodings.b64_decode(text)
    encodings.b32_decode(text)
    encodings.url_decode(text)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (b"VGhpcyBpcyBhIHN0cmluZw=a", b"This is a string"),
        (b"Zm9v!mFy", b"foo"),
        (b"Zm 9v\r\nYm\tFy\n", b"foobar"),
        (b"Zg==Zm9v", b"f"),
        (b"Zm9vYm", b"foo"),
        (b"====", b""),
        (b"", b""),
    ],
)
def test_base_64_ends_where_it_is_none(text: bytes, data: bytes) -> None:
    assert encodings.b64_decode(text) == data


@pytest.mark.parametrize(
    ("text", "data"),
    [(b"mzxw-6ytb\n oi======", b"foobar"), (b"MZXW6YTB!ZXW6YTB", b"fooba"), (b"MZXW6YTBOI", b"fooba"), (b"=", b"")],
)
def test_base_32_ends_where_it_is_none(text: bytes, data: bytes) -> None:
    assert encodings.b32_decode(text) == data


def test_urls_and_html() -> None:
    assert encodings.url_encode(b"a b/c\xff-._~AZ") == b"a%20b%2Fc%FF-._~AZ"
    assert encodings.url_decode(b"a+b%2fc%FF") == b"a b/c\xff"
    assert [encodings.url_decode(text) for text in (b"a%", b"a%2", b"a%2x")] == [b"", b"", b""]
    assert encodings.html_encode("<a href=\"x\">'&'") == "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;&#x27;"


def test_a_table_tells_what_was_there() -> None:
    table, freed = Hash[str, int](), list[int]()
    assert table.store("a", 1)
    assert not table.store("a", 2)
    assert table.set("a", 3) == (True, 1)
    assert table.set("b", 4) == (False, None)
    assert table.replace("a", 5, freed.append)
    assert not table.replace("c", 6, freed.append)
    assert table.delete("a", freed.append)
    assert not table.delete("a", freed.append)
    assert freed == [3, 5]
    table.merge_as_dict({"b": 7, "d": 8})
    assert table == {"b": 7, "c": 6, "d": 8}


@settings(deadline=None)
@given(st.binary(), st.integers(0, 2**32 - 1))
def test_the_hash_is_half_of_xxh64(key: bytes, seed: int) -> None:
    assert hash_of(key, seed) == xxhash.xxh64_intdigest(key, seed) % 2**32


def test_a_huge_hash_keeps_what_it_is_given(tmp_path: Path) -> None:
    table = HugeHash(tmp_path / "table")
    assert table.store(b"key", b"one")
    assert not table.store(b"key", b"two")
    assert table.retrieve(b"key") == b"one"
    assert table.replace(b"key", b"two")
    assert table.retrieve(b"nothing") is None
    assert not table.delete(b"nothing")
    table.close()
    table = HugeHash(tmp_path / "table")
    assert (table.retrieve(b"key"), table.size()) == (b"two", 1)
    assert table.delete(b"key")
    assert len(table) == 0
    for key in (b"", bytes(512)):
        with pytest.raises(ValueError, match="a key has 1 to 511 bytes"):
            table.store(key, b"")
    table.close()


def test_a_huge_hash_grows_while_it_is_walked(tmp_path: Path) -> None:
    table = HugeHash(tmp_path / "table")
    for number in range(1000):
        table.store(b"%06d" % number, bytes(100))
    seen = []
    for key, data in table.items():
        seen.append(key)
        assert table.replace(key, data * 100)  # ten times what the map has room for at first
    assert seen == [b"%06d" % number for number in range(1000)]
    assert all(len(data) == 10000 for _, data in table.items())
    assert table.size() == 1000
    table.close()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=3000)))
def test_a_buffer_holds_what_was_added(parts: list[bytes]) -> None:
    buffer = DynBuffer()
    for part in parts:
        buffer.add(part)
    assert buffer.data() == b"".join(parts)
    assert buffer.used() == len(buffer.data()) <= buffer.size()
    buffer.reset()
    assert (buffer.data(), buffer.used()) == (b"", 0)


def test_a_buffer_is_written_into() -> None:
    buffer = DynBuffer()
    buffer.add_printf(b"%d of %s", 3, b"it")
    assert buffer.write_pointer()[0] == 0
    buffer.add_json_string('"\n/\u00fc'.encode())
    buffer.add_json_string(b"/", solidus=True)
    assert buffer.data() == '3 of it\\"\\n/\u00fc\\/'.encode()
    buffer.ensure(10000)
    with buffer.write_pointer() as room:
        assert len(room) >= 10000
        room[:3] = b"end"
    buffer.advance(3)
    assert buffer.data().endswith(b"end")
    with pytest.raises(ValueError, match="bytes in a room of"):
        buffer.advance(buffer.size())


def test_clocks_agree() -> None:
    timer = clock.Perftimer()
    before = clock.get_nanos()
    assert abs(clock.now_us() // 1000 - clock.now_ms()) < 60_000
    assert clock.get_nanos() >= before
    assert timer.elapsed() >= 0


def test_random_numbers_have_64_bits() -> None:
    for draw in (rand.rand, rand.rand_secure):
        numbers = {draw() for _ in range(200)}
        assert len(numbers) == 200
        assert 0 <= min(numbers) < 2**63 < max(numbers) < 2**64
    for fill in (rand.rand_buf, rand.rand_buf_secure):
        assert [len(fill(size)) for size in (0, 1, 1000)] == [0, 1, 1000]


def test_uuids() -> None:
    made = uuids.generate()
    assert made.version == 4
    assert uuids.parse(uuids.unparse_upper(made)) == made
    assert uuids.unparse(made) == str(made)
    assert [uuids.parse(text) for text in ("", made.hex, f"{{{made}}}", str(made)[:-1] + "g")] == [None] * 4
    null, other = uuid.UUID(int=0), uuid.UUID(int=1)
    assert uuids.is_null(null)
    assert not uuids.is_null(made)
    assert [uuids.compare(null, other), uuids.compare(other, null), uuids.compare(other, other)] == [-1, 1, 0]


def test_directories_are_made_for_a_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        mkdir_for_file(tmp_path / "a" / "b" / "c", 0o700)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a" / "b" / "c").exists()
    mkdir_for_file(tmp_path / "a" / "b" / "c")
    mkdir_for_file("plain")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        mkdir_for_file(tmp_path / "file" / "x" / "y")


def test_the_way_to_this_host_begins_at_this_host() -> None:
    assert getip_ipv4("127.0.0.1") == "127.0.0.1"
    with pytest.raises(OSError, match=r"not known|failure|resolution"):
        getip_ipv4("no.such.host.invalid")
