"""Targets of requests: one path for everybody, and what has none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.http.message.target import authority_of, left_by, path_of, query_of, shown


@given(st.binary(max_size=30).map(lambda text: b"/" + text))
def test_a_path_has_no_way_up_and_stays_itself(target: bytes) -> None:
    found = path_of(target)
    assert not found or found.startswith(b"/")
    assert not {b".", b".."} & set(found.split(b"/"))
    assert b"//" not in found
    if found and not {*b"%?#"} & {*found}:
        assert path_of(found) == found


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/", b"/"),
        (b"/a/b/", b"/a/b/"),
        (b"/a//b", b"/a/b"),
        (b"//a", b"/a"),
        (b"/a/../b", b"/b"),
        (b"/a/./b", b"/a/b"),
        (b"/a/%2e%2e/b/.", b"/b/"),
        (b"/a/%2E./b", b"/b"),
        (b"/a/..%2fb", b"/b"),
        (b"/a%2Fb", b"/a/b"),
        (b"/../../x", b"/x"),
        (b"/%61", b"/a"),
        (b"/%2561", b"/%61"),  # once
        (b"/%252e%252e/x", b"/%2e%2e/x"),
        (b"/a/..", b"/"),
        (b"/.hidden", b"/.hidden"),
        (b"/...", b"/..."),
        (b"/a\\..\\b", b"/a\\..\\b"),
        (b"/%ff", b"/\xff"),
        (b"/%c0%ae%c0%ae/x", b"/\xc0\xae\xc0\xae/x"),
        (b"/a?b=/../c", b"/a"),
        (b"/a#b", b"/a"),
        (b"/a%3Fb", b"/a?b"),
        (b"http://host/a/../b?c", b"/b"),
        (b"http://host", b"/"),
        (b"http://host?x=/admin", b"/"),
        (b"HTTPS://host:8/a", b"/a"),
        (b"/x?y=http://a/admin", b"/x"),
        (b"http://h/x?y=http://a/admin", b"/x"),
        (b"*", b"*"),
        (b"host:80", b"host:80"),
        (b"/%", b""),
        (b"/%4", b""),
        (b"/%zz", b""),
        (b"/a%00b", b""),
        (b"/a%", b""),
    ],
)
def test_paths_are_decoded_once_and_shortened(target: bytes, expected: bytes) -> None:
    assert path_of(target) == expected


@pytest.mark.parametrize(
    ("target", "left"),
    [
        (b"/a/b", ()),
        (b"/admin/../x", (b"/admin/",)),
        (b"/admin/%2e%2e/x", (b"/admin/",)),
        (b"/admin/..%2fx", (b"/admin/",)),
        (b"//admin//.//../x", (b"/admin/",)),
        (b"/a/b/../../c", (b"/a/b/", b"/a/")),
        (b"/../x", ()),
        (b"/a?/../b", ()),
        (b"/a/...", ()),
    ],
)
def test_directories_that_are_only_passed_through_are_known(target: bytes, left: tuple[bytes, ...]) -> None:
    assert left_by(target) == left


def test_a_target_has_a_query_and_may_name_a_host() -> None:
    assert query_of(b"/a?b=c?d#e") == b"b=c?d"
    assert query_of(b"/a") == b""
    assert authority_of(b"http://h:80/a") == b"h:80"
    assert authority_of(b"/http://h/") is None
    assert shown(b"/a/../b%20c?d=%20") == b"/b c?d=%20"
    assert shown(b"/a%zz") == b"/a%zz"
