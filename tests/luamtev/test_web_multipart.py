"""Forms of several parts: names, files and contents as clients send them, torn anywhere, and what is no such form."""

import base64
import hashlib
import http.client
import json
import random
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
from webprogram import Web

MOUNTS = "<mount_up>web:POST:/</mount_up><stream_up>true</stream_up><mount_whole>web:PUT:/</mount_whole>"

HANDLER = """
local acts = {}

function acts.list(rest, http, req)
  local found = {}
  local count, why = req:multipart(function(part)
    local pieces = {}
    while true do
      local piece = part:read(tonumber(req:querystring("most")))
      if not piece then break end
      pieces[#pieces + 1] = piece
    end
    found[#found + 1] = { name = part.name, filename = part.filename, type = part.content_type,
      content = mtev.base64_encode(table.concat(pieces)), x = part.headers["x-own"] }
  end)
  if not count then
    http:header("X-Why", why)
    return
  end
  http:write(mtev.tojson({ count = count, parts = found }):tostring())
  http:flush_end()
end

function acts.save(rest, http, req)
  local said = {}
  local count, why = req:multipart(function(part)
    if part.filename then
      local size, failure = part:save(DIRECTORY .. "/" .. part.filename, 384)
      said[#said + 1] = part.filename .. " " .. tostring(size) .. " " .. tostring(failure)
    else
      said[#said + 1] = part.name .. " " .. tostring(part:payload(10))
    end
  end)
  if not count then return end
  http:write(table.concat(said, "\\n"))
  http:flush_end()
end

function acts.skip(rest, http, req)
  local names, kept = {}, nil
  local count = req:multipart(function(part)
    names[#names + 1] = part.name
    kept = kept or part
    if part.name == "b" then part:read(1) end
  end)
  http:write(count .. " " .. table.concat(names, ",") .. " " .. tostring(kept:read()) .. " " .. kept:payload())
  http:write(tostring(req:read()))
  http:flush_end()
end

function acts.few(rest, http, req)
  local count, why = req:multipart(function() end, { parts = 2, head = 100 })
  http:status(count and 200 or 409)
  http:write(tostring(count) .. " " .. tostring(why))
  http:flush_end()
end

function acts.fails(rest, http, req) req:multipart(function(part) error("of " .. part.name) end) end

function acts.wrong(rest, http, req)
  for _, wrong in ipairs({ {}, { "x" }, { print, 1 }, { print, { parts = "x" } } }) do
    http:write(select(2, pcall(req.multipart, req, unpack(wrong))) .. "|")
  end
  http:flush_end()
end

function handler(rest)
  local http = rest:http()
  acts[http:request():uri():match("^/(%a*)")](rest, http, http:request())
end
"""

both = pytest.mark.parametrize("web", ["lua", "python"], indirect=True)


def started(web: Web, listener: str = "") -> Web:
    web.listener = listener
    return web.start(HANDLER.replace("DIRECTORY", f'"{web.directory}"'), web=MOUNTS)


def form(*parts: tuple[str, bytes], boundary: str = "xyz", ends: bytes = b"--\r\n") -> bytes:
    pieces = [
        b"--" + boundary.encode() + b"\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n" for head, body in parts
    ]
    return b"".join(pieces) + b"--" + boundary.encode() + ends


def named(name: str, more: str = "") -> str:
    return f'Content-Disposition: form-data; name="{name}"{more}'


def send(
    web: Web, path: str, body: bytes, content_type: str = "multipart/form-data; boundary=xyz", method: str = "POST"
) -> Any:
    return web.ask(path, method, body, Content_Type=content_type)


def parts_of(reply: Any) -> list[tuple[str, str | None, str, bytes]]:
    assert reply.status == 200, (reply.status, reply.headers)
    said = json.loads(reply.body)
    parts = said["parts"] or []
    assert said["count"] == len(parts)
    return [(each["name"], each.get("filename"), each["type"], base64.b64decode(each["content"])) for each in parts]


@both
def test_what_curl_sends_arrives(web: Web, tmp_path: Path) -> None:
    started(web)
    file = tmp_path / "a file.bin"
    file.write_bytes(bytes(range(256)) * 1000)
    for method in ("POST", "PUT"):
        for options in ([], ["--http2-prior-knowledge"], ["-H", "Expect: 100-continue"]):
            command = ["curl", "-s", "-S", "--max-time", "30", "-X", method, *options]
            command += ["-F", "text=one two", "-F", f"file=@{file};type=image/x-own", "-F", "empty=", "-F", "umlaut=ä"]
            command += [f"http://127.0.0.1:{web.port}/list"]
            done = subprocess.run(command, check=True, capture_output=True)
            said = json.loads(done.stdout)
            assert said["count"] == 4
            assert [each["name"] for each in said["parts"]] == ["text", "file", "empty", "umlaut"]
            assert said["parts"][1]["filename"] == "a file.bin"
            assert said["parts"][1]["type"] == "image/x-own"
            assert said["parts"][0]["type"] == "text/plain"


@both
def test_what_a_library_sends_arrives(web: Web) -> None:
    started(web)
    content = random.Random(1).randbytes(300_000)
    url = f"http://127.0.0.1:{web.port}/list"
    files = {"up": ('quo"te.txt', content, "text/x-own")}
    said = requests.post(url, data={"a": "1", "b": "line\r\nbreak"}, files=files, timeout=20).json()
    assert [each["name"] for each in said["parts"]] == ["a", "b", "up"]
    assert said["parts"][2]["filename"] == 'quo"te.txt'


NAMES = [
    (named("a"), "a", None),
    (named("a", '; filename="b.txt"'), "a", "b.txt"),
    (named("a", '; filename=""'), "a", ""),
    (named("a b;c"), "a b;c", None),
    (named("%22%0D%0A%41"), '"\r\n%41', None),
    (named("q", '; filename="a\\"b\\\\c"'), "q", 'a"b\\c'),
    (named("q", '; filename="C:\\dir\\file"'), "q", "C:\\dir\\file"),
    ("content-disposition:form-data;name=token;filename=f", "token", "f"),
    ('CONTENT-DISPOSITION: Form-Data; NAME="up" ; FileName="f" ;', "up", "f"),
    (named("ä", '; filename="ö.txt"'), "ä", "ö.txt"),
]


@both
def test_names_are_those_that_were_meant(web: Web) -> None:
    started(web)
    for method in ("POST", "PUT"):
        for head, name, filename in NAMES:
            ((got, file, _, content),) = parts_of(send(web, "/list", form((head, b"x")), method=method))
            assert (got, file, content) == (name, filename, b"x"), head


CONTENTS = [
    b"",
    b"\r\n",
    b"--xyz",
    b"--xyz--",
    b"\r\n--xy",
    b"\r\n-\r\n--\r\n--x\r\n--xyZ",
    b"\n--xyz\n",
    b"\r--xyz\r\n",
    b"a\r\n\r\n--xyz"[:-3] + b"\r",
    b"\r\n\r\n" * 50 + b"\r",
    bytes(range(256)) * 20,
]


def test_contents_are_the_same_wherever_they_are_torn(web: Web) -> None:
    started(web)
    chance = random.Random(7)
    contents = [*CONTENTS, chance.randbytes(200_000), (b"\r\n--xy" * 40_000)]
    body = b"preamble\r\n" + form(*[(named(str(at)), each) for at, each in enumerate(contents)]) + b"epilogue"
    expected = [(str(at), None, "text/plain", each) for at, each in enumerate(contents)]
    assert parts_of(send(web, "/list", body)) == expected
    assert parts_of(send(web, "/list?most=1000", body, method="PUT")) == expected
    small = form(*[(named(str(at)), each) for at, each in enumerate(CONTENTS)])
    head = "POST /list{} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n"
    head += "Content-Type: multipart/form-data; boundary=xyz\r\n\r\n"
    for path, sizes in (("", [1, 2, 3, 5, 7]), ("?most=1", [1000]), ("?most=3", [1, 40, 300, 2000])):
        with socket.create_connection(("127.0.0.1", web.port), 60) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(head.format(path, len(small)).encode())
            rest = small
            while rest:
                size = chance.choice(sizes)
                client.sendall(rest[:size])
                rest = rest[size:]
            answer = http.client.HTTPResponse(client)
            answer.begin()
            said = json.loads(answer.read())
            assert said["count"] == len(CONTENTS)


MALFORMED = [
    (b"", "it ends inside a part"),
    (b"no boundary at all", "it ends inside a part"),
    (b"--xyz", "it ends behind a boundary"),
    (b"--xyz\r\n", "it ends inside the head of a part"),
    (form((named("a"), b"x"), ends=b""), "it ends behind a boundary"),
    (form((named("a"), b"x"))[:-8], "it ends inside a part"),
    (b"--xyzzy\r\n" + named("a").encode() + b"\r\n\r\nx\r\n--xyz--", "a malformed boundary"),
    (form(("X-Own: 1", b"x")), "a part without a name"),
    (form(("Content-Disposition: form-data", b"x")), "a part without a name"),
    (form(('Content-Disposition: attachment; name="a"', b"x")), "a part without a name"),
    (form(('Content-Disposition: form-data; name="a', b"x")), "a part without a name"),
    (form((named("a", '; name="b"'), b"x")), "a part without a name"),
    (form((named("a") + "\r\n" + named("b"), b"x")), "a malformed header"),
    (form((named("a") + "\r\nno header", b"x")), "a malformed header"),
    (form((named("a") + "\r\n folded: x", b"x")), "a malformed header"),
    (b"--xyz\n" + named("a").encode() + b"\n\nx\n--xyz--", "it ends inside the head of a part"),
]


@both
def test_what_is_no_form_is_refused(web: Web) -> None:
    started(web)
    for method in ("POST", "PUT"):
        for body, why in MALFORMED:
            reply = send(web, "/list", body, method=method)
            assert (reply.status, reply.headers.get("x-why")) == (400, None), body
            reply = send(web, "/few", body, method=method)
            assert reply.body.decode() == f"nil multipart form: {why}", body
        good = form((named("a"), b"x"))
        for content_type, status in (
            ("text/plain", 415),
            ("", 415),
            ("multipart/mixed; boundary=xyz", 415),
            ("multipart/form-data", 400),
            ("multipart/form-data; boundary=", 415),
            ('multipart/form-data; boundary=""', 400),
            ("multipart/form-data; boundary=" + "x" * 71, 400),
            ('multipart/form-data; boundary="xyz', 415),
            ("multipart/form-data; boundary=xyz; boundary=abc", 415),
            ('Multipart/Form-Data; charset=utf-8; boundary="xyz"', 200),
        ):
            assert send(web, "/list", good, content_type, method).status == status, content_type
    assert web.errors() == ""


@both
def test_there_are_limits(web: Web) -> None:
    started(web, "<max_upload>1000</max_upload>")
    two = [(named("a"), b"x"), (named("b"), b"y")]
    assert send(web, "/few", form(*two)).body == b"2 nil"
    assert send(web, "/few", form(*two, two[0])).body == b"nil multipart form: more than 2 parts"
    long = named("a") + "\r\nX-Own: " + "x" * 60
    assert send(web, "/few", form((long, b"x"))).body == b"nil multipart form: the head of a part is too long"
    assert send(web, "/list", form((long, b"x"))).status == 200
    assert send(web, "/list", form((named("a"), bytes(1000)))).status == 413
    assert send(web, "/save", form((named("a"), bytes(11)))).status == 413
    assert send(web, "/list", form(*[(named("a"), b"")] * 0)).status == 200


@both
def test_files_are_saved_and_halves_of_them_are_not(web: Web) -> None:
    started(web)
    content = random.Random(3).randbytes(3_000_000)
    body = form(
        (named("a", '; filename="big"'), content), (named("b", '; filename="empty"'), b""), (named("c"), b"text")
    )
    for method in ("POST", "PUT"):
        assert send(web, "/save", body, method=method).body == b"big 3000000 nil\nempty 0 nil\nc text"
        assert hashlib.sha256((web.directory / "big").read_bytes()).digest() == hashlib.sha256(content).digest()
        assert (web.directory / "big").stat().st_mode & 0o777 == 0o600
        assert (web.directory / "empty").read_bytes() == b""
        (web.directory / "big").unlink()
        reply = send(web, "/save", body[:2_500_000], method=method)
        assert reply.status == 400
        assert not (web.directory / "big").exists()
        no = send(web, "/save", form((named("a", '; filename="no/such"'), b"x"), (named("b"), b"y")), method=method)
        assert no.body == b"no/such nil No such file or directory\nb y"


@both
def test_what_is_not_read_is_passed_over(web: Web) -> None:
    started(web)
    body = form((named("a"), bytes(200_000)), (named("b"), bytes(200_000)), (named("c"), b"end"))
    for method in ("POST", "PUT"):
        said = send(web, "/skip", body, method=method).body
        assert said.startswith(b"3 a,b,c nil "), said
    assert send(web, "/fails", body).status == 500
    assert "of a" in web.errors()


@both
def test_arguments_are_looked_at(web: Web) -> None:
    started(web)
    told = send(web, "/wrong", form((named("a"), b"x")), method="PUT").body.decode().split("|")
    assert [each.partition("'multipart' ")[2] for each in told[:4]] == [
        "(1 to 2 expected, got 0)",
        "(function expected, got string)",
        "(table expected, got number)",
        "(parts: number expected, got x)",
    ]
