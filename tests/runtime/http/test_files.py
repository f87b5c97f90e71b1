"""Static files: what is served, what is refused, and conditional and partial requests."""

import errno
import os
from email.utils import formatdate
from pathlib import Path

import pytest
from hearing import hear
from hypothesis import given
from hypothesis import strategies as st

from runtime.http import Http1, Request, Response, serve_file

CONTENT = b"0123456789"
MODIFIED = 1_700_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside.txt").write_bytes(b"secret")
    site = tmp_path / "site"
    (site / "sub").mkdir(parents=True)
    (site / "empty").mkdir()
    for name in ("a.txt", "sub/index.html", "sub/home.htm", "with space.css", "x.odd", "none", "sub/..hidden"):
        (site / name).write_bytes(CONTENT)
        os.utime(site / name, (MODIFIED, MODIFIED))
    (site / "nothing.txt").touch()
    (site / "out").symlink_to(tmp_path / "outside.txt")
    (site / "up").symlink_to(tmp_path)
    (site / "in").symlink_to(site / "a.txt")
    (site / "loop").symlink_to(site / "loop")
    os.mkfifo(site / "pipe")
    return site


class Answer:
    """A response, taken apart."""

    def __init__(self, stream: bytes) -> None:
        head, _, self.body = stream.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = dict(line.split(": ", 1) for line in lines)


def ask(root: Path, path: str, method: str = "GET", config: dict[str, str] | None = None, **headers: str) -> Answer:
    def serve(request: Request, response: Response) -> None:
        serve_file(request, response, str(root), config or {})

    http = Http1(serve)
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    http.feed(f"{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
    return Answer(b"".join(http.output))


def test_a_file_is_served_with_type_length_and_validators(root: Path) -> None:
    answer = ask(root, "/a.txt")
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Last-Modified"] == formatdate(MODIFIED, usegmt=True)
    assert answer.headers["ETag"].startswith('"')
    head = ask(root, "/a.txt", "HEAD")
    assert head.body == b""
    assert {**head.headers, "Date": ""} == {**answer.headers, "Date": ""}


@pytest.mark.parametrize(
    "path", ["/in", "/with%20space.css", "/%61.txt", "/sub/../a.txt", "//a.txt", "/sub/%2e./a.txt?x"]
)
def test_paths_are_decoded_and_links_within_the_root_are_followed(root: Path, path: str) -> None:
    assert (ask(root, path).status, ask(root, path).body) == (200, CONTENT)


def test_types_come_from_the_configuration_then_from_the_extension(root: Path) -> None:
    config = {"mime_type_odd": "application/x-odd"}
    assert ask(root, "/x.odd", config=config).headers["Content-Type"] == "application/x-odd"
    assert ask(root, "/with%20space.css").headers["Content-Type"] == "text/css"
    assert ask(root, "/none").headers["Content-Type"] == "application/octet-stream"


def test_a_directory_is_its_index_file_behind_a_slash(root: Path) -> None:
    assert ask(root, "/sub/").headers["Content-Type"] == "text/html"
    assert ask(root, "/sub/", config={"index_file": "home.htm"}).body == CONTENT
    moved = ask(root, "/sub?q=1")
    assert (moved.status, moved.headers["Location"]) == (301, "/sub/?q=1")
    assert ask(root, "/empty/").status == 404
    assert ask(root, "//sub").headers["Location"] == "/sub/", "and never another host"


@pytest.mark.parametrize(
    "path", ["/out", "/up/outside.txt", "/up", "/up/", "/pipe", "/up/site/../outside.txt", "/%75p/outside.txt"]
)
def test_links_out_of_the_root_and_what_is_no_file_are_refused(root: Path, path: str) -> None:
    assert ask(root, path).status in ((403,) if "site" not in path else (403, 404))


@pytest.mark.parametrize("path", ["/%00", "/a.txt%00", "/a.txt%", "/%g0"])
def test_what_is_no_path_is_a_bad_request(root: Path, path: str) -> None:
    assert ask(root, path).status == 400


@pytest.mark.parametrize("path", ["/nowhere", "/a.txt/", "/a.txt/x", "/loop", "/" + "x" * 5000])
def test_what_is_not_there_is_not_found(root: Path, path: str) -> None:
    assert ask(root, path).status == 404


def test_a_file_that_cannot_be_opened_now_is_not_said_to_be_gone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = hear("error/rest")
    really = os.open

    def without_descriptors(path: bytes, flags: int, **more: int) -> int:
        if path == b"a.txt" or str(root).encode() in path:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return really(path, flags, **more)

    with monkeypatch.context() as short:
        short.setattr(os, "open", without_descriptors)
        assert ask(root, "/a.txt").status == 503
    assert ask(root, "/a.txt").status == 200
    (line,) = told()
    assert "/a.txt" in line and "Too many open files" in line


@given(st.lists(st.sampled_from(["..", "%2e%2e", ".", "", "sub", "up", "outside.txt", "%2f", "..%2f"]), max_size=6))
def test_no_path_leads_out(tmp_path_factory: pytest.TempPathFactory, segments: list[str]) -> None:
    base = tmp_path_factory.getbasetemp() / "confined"
    if not base.exists():
        (base / "site" / "sub").mkdir(parents=True)
        (base / "outside.txt").write_bytes(b"secret")
        (base / "site" / "up").symlink_to(base)
    assert b"secret" not in ask(base / "site", "/" + "/".join(segments)).body


def test_a_sibling_whose_name_begins_like_the_root_is_outside(root: Path) -> None:
    (root.parent / "site2").mkdir()
    (root.parent / "site2" / "f").write_bytes(b"secret")
    (root / "link").symlink_to(root.parent / "site2" / "f")
    assert ask(root, "/link").status == 403


def test_other_methods_are_not_allowed(root: Path) -> None:
    answer = ask(root, "/a.txt", "PUT")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_what_did_not_change_is_not_sent_again(root: Path) -> None:
    tag = ask(root, "/a.txt").headers["ETag"]
    date = formatdate(MODIFIED, usegmt=True)
    for headers in ({"If_None_Match": tag}, {"If_None_Match": f'"x", W/{tag}'}, {"If_None_Match": "*"}):
        answer = ask(root, "/a.txt", **headers)
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
    assert ask(root, "/a.txt", If_Modified_Since=date).status == 304
    assert ask(root, "/a.txt", If_Modified_Since=formatdate(MODIFIED - 1, usegmt=True)).status == 200
    assert ask(root, "/a.txt", If_Modified_Since="yesterday").status == 200
    assert ask(root, "/a.txt", If_None_Match='"x"', If_Modified_Since=date).status == 200, "the tag counts"
    (root / "a.txt").write_bytes(b"changed")
    assert ask(root, "/a.txt", If_None_Match=tag, If_Modified_Since=date).status == 200


@pytest.mark.parametrize(
    ("asked", "status", "body", "range_"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=5-", 206, b"56789", "bytes 5-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, CONTENT, "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=3-1", 200, CONTENT, None),
        ("bytes=0-1,4-5", 200, CONTENT, None),
        ("lines=0-1", 200, CONTENT, None),
        ("bytes=-", 200, CONTENT, None),
    ],
)
def test_a_part_is_served(root: Path, asked: str, status: int, body: bytes, range_: str | None) -> None:
    answer = ask(root, "/a.txt", Range=asked)
    assert (answer.status, answer.body, answer.headers.get("Content-Range")) == (status, body, range_)


def test_a_part_of_an_older_version_is_not_served(root: Path) -> None:
    whole = ask(root, "/a.txt").headers
    assert ask(root, "/a.txt", Range="bytes=0-1", If_Range=whole["ETag"]).status == 206
    assert ask(root, "/a.txt", Range="bytes=0-1", If_Range=whole["Last-Modified"]).status == 206
    assert ask(root, "/a.txt", Range="bytes=0-1", If_Range='"x"').status == 200


def test_an_empty_file_has_no_body(root: Path) -> None:
    answer = ask(root, "/nothing.txt")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    assert ask(root, "/nothing.txt", Range="bytes=0-").status == 416


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_Match": "*"}, 200),
        ({"If_Match": "{tag}"}, 200),
        ({"If_Match": '"other", {tag}'}, 200),
        ({"If_Match": '"other"'}, 412),
        ({"If_Match": "W/{tag}"}, 412),  # compared strongly
        ({"If_Match": '"other"', "If_None_Match": "{tag}"}, 412),
        ({"If_Match": "{tag}", "If_None_Match": "{tag}"}, 304),
        ({"If_Match": '"other"', "If_Unmodified_Since": formatdate(MODIFIED, usegmt=True)}, 412),
        ({"If_Unmodified_Since": formatdate(MODIFIED, usegmt=True)}, 200),
        ({"If_Unmodified_Since": formatdate(MODIFIED + 1, usegmt=True)}, 200),
        ({"If_Unmodified_Since": formatdate(MODIFIED - 1, usegmt=True)}, 412),
        ({"If_Unmodified_Since": "some day"}, 200),
        ({"If_Match": '"other"', "Range": "bytes=0-1"}, 412),
    ],
)
def test_what_the_client_has_in_mind_must_be_what_is_there(root: Path, headers: dict[str, str], status: int) -> None:
    tag = ask(root, "/a.txt").headers["ETag"]
    assert ask(root, "/a.txt", **{name: value.format(tag=tag) for name, value in headers.items()}).status == status
