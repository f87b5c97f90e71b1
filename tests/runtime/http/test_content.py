"""The content of a response: pieces in memory and parts of files, in their order."""

import os
from pathlib import Path

import pytest

from runtime.http.message.content import PIECE, Content


def opened() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_parts_of_files_are_read_piece_by_piece_after_what_precedes_them(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(range(256)) * 1000)
    content, before = Content([b"head"]), opened()
    with open(tmp_path / "f", "rb") as file:
        content.append_file(file.fileno(), None, 0)
        content.append_file(file.fileno(), 3, 255)
    content.append(b"tail")
    assert content.length() == 4 + 256_000 + 3 + 4
    assert not content.is_in_memory()
    pieces = []
    while content:
        pieces.append(content.take())
    assert b"".join(pieces) == b"head" + bytes(range(256)) * 1000 + b"\xff\x00\x01tail"
    assert max(map(len, pieces)) == PIECE
    assert opened() == before


@pytest.mark.parametrize(("size", "offset"), [(5, 0), (None, 5), (2, 3), (1, -1), (-1, 0)])
def test_a_part_that_the_file_has_not_is_refused(tmp_path: Path, size: int | None, offset: int) -> None:
    (tmp_path / "f").write_bytes(b"four")
    content = Content()
    with open(tmp_path / "f", "rb") as file, pytest.raises(ValueError, match="a file of 4 bytes has no"):
        content.append_file(file.fileno(), size, offset)
    assert not content


def test_a_file_that_shrank_gives_nothing_and_is_let_go_of(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"four")
    content, before = Content(), opened()
    with open(tmp_path / "f", "rb") as file:
        content.append_file(file.fileno(), None, 0)
    os.truncate(tmp_path / "f", 0)
    assert content.take() == b""
    assert not content
    assert opened() == before


def test_what_is_dropped_closes_its_files(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"four")
    content, before = Content([b"x"]), opened()
    with open(tmp_path / "f", "rb") as file:
        content.append_file(file.fileno(), None, 0)
    content.drop()
    assert not content
    assert opened() == before
