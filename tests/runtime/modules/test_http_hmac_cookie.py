"""Logins, against what the original did."""

import http.client
import http.cookiejar
import json
import re
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from serving import house, server

from runtime import eventer, hooks
from runtime import http as runtime_http
from runtime.http import Request, Response
from runtime.http.message.response import STARTING
from runtime.http.rest.dispatch import AUTH_DENIED, AUTHENTICATE
from runtime.modules import http_hmac_cookie as module
from runtime.modules._http_cookie import Login, opened, sealed
from runtime.modules.http_hmac_cookie import HTTP_AUTH, HmacCookie

RECORDED = json.loads((Path(__file__).parents[2] / "data" / "http_hmac_cookie" / "session.json").read_text())
KEY = bytes.fromhex(RECORDED["key_hex"])
NOW = 1795775097
"""When the recorded cookies were made."""
USERS = {"user_alice": "pass word+1", "user_bob": "secret"}
CONFIG = {"key": RECORDED["key_base64"], "max_age": "600"} | USERS
ALLOW = b"""<app><rest><acl>
<rule type="allow" url="^/log(in|out)$"/><rule type="deny" url="^/capa"/><rule type="allow" user="."/>
</acl></rest></app>"""
BETTER = {
    "no cookie, POST": "where only the method is wrong, and nobody may, that is said by the same redirection",
    "empty user": "nobody is called that",
    "password with blank as +": "browsers send it so",
    "made by us": "it expires later than a cookie of this configuration can",
    "lower-case percent": "likewise",
    "other cookies around it": "likewise",
    "two, second bad": "likewise",
    "last access log lines": "no request",
}
"""Cases in which ours does otherwise, each with a test of its own here."""


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        def __getattr__(self, name: str) -> Any:
            return (lambda: NOW + 0.5) if name == "time" else getattr(time, name)

    monkeypatch.setattr(module, "time", Clock())


@pytest.fixture
def port(loops: eventer.Pool) -> Iterator[int]:
    with house(("GET", "^hello$", hello), ("GET", "^(capa|mtev/stats.json)$", hello), allow=ALLOW):
        yield server()
    for hook in (AUTHENTICATE, STARTING, AUTH_DENIED):
        hook.unregister("http_hmac_cookie")


def started(**config: str) -> HmacCookie:
    made = HmacCookie()
    made.configure(CONFIG | config)
    made.init()
    return made


def hello(request: Request, response: Response) -> None:
    response.header("Content-Type", "text/plain")
    response.write(b"Hello " + (request.user or b"world"))
    response.flush_end()


def ask(
    port: int, path: str, method: str = "GET", body: str | None = None, host: str = "127.0.0.1", **headers: str
) -> tuple[HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, {"Host": host} | headers)
        answer = connection.getresponse()
        return answer, answer.read().decode()
    finally:
        connection.close()


def cookie_of(answer: HTTPResponse) -> str:
    return (answer.getheader("Set-Cookie") or "").partition(";")[0].partition("=")[2]


@pytest.mark.parametrize(
    "case", [each for each in RECORDED["cases"] if each["case"] not in BETTER], ids=lambda case: case["case"]
)
def test_answers_are_the_recorded_ones(port: int, case: dict[str, Any]) -> None:
    started()
    asked = case["request"]
    answer, body = ask(port, asked["path"], asked["method"], asked["body"], asked["host"], **asked["headers"])
    wanted = dict(case["headers"])
    location = case["case"] == "with the cookie, 404"
    assert f"HTTP/1.1 {answer.status} {answer.reason}".upper() == case["status"].upper()
    assert answer.getheader("Location") == wanted.get("Location")
    if not location:
        assert (answer.getheader("Content-Type") or "").partition(";")[0] == wanted["Content-Type"]
    cookie = wanted.get("Set-Cookie")
    given = answer.getheader("Set-Cookie")
    assert (given is None) == (cookie is None)
    if cookie is not None and given is not None:
        attributes = given.removesuffix("; Path=/; HttpOnly; SameSite=Lax")
        assert attributes != given and attributes.split("; ")[1:] == cookie.split("; ")[1:]
        ours, theirs = opened(cookie_of(answer).encode(), KEY), opened(cookie.partition(";")[0][9:].encode(), KEY)
        assert ours is not None and theirs is not None
        assert (ours.user, ours.auth) == (theirs.user, theirs.auth) and abs(ours.expiry - theirs.expiry) <= 1
    if isinstance(case["body"], dict):
        page = case["body"]
        for wanted_part in page["form_action_method"]:
            assert wanted_part in body
        names = [re.search(r'name="(\w+)"', each) for each in page["inputs"]]
        assert [each[1] for each in names if each] == re.findall(r'<input [^>]*name="(\w+)"', body)
        hidden = re.search(r'name="whereto" value="([^"]*)"', "".join(page["inputs"]))
        if hidden is not None:
            shown = re.search(r'name="whereto" value="([^"]*)"', body)
            assert shown is not None and shown[1].replace("&quot;", "&#34;") == hidden[1]
        assert ("failed" in body.partition("<form")[2]) == page["says_failed"]
        for link in page["links"]:
            assert f'href="{link}"' in body


def made(**changes: Any) -> str:
    fields = {"user": b"alice", "auth": b"hmac_cookie_test", "expiry": NOW + 300, "login": b"login1"} | changes
    key = fields.pop("key", KEY)
    return sealed(Login(**fields), key)


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (made(), True),
        (made(expiry=NOW + 600), True),
        (made(expiry=NOW + 602), False),
        (made(expiry=NOW + 1), True),
        (made(expiry=NOW), False),
        (made(user=b"carol"), False),
        (made(user=b""), False),
        (made(key=bytes(32)), False),
        (made() + "%00", False),
        (made()[:-1], False),
        ("%0B", False),
        ("%ff" * 40, False),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_a_cookie_holds_only_when_all_of_it_does(port: int, value: str, known: bool) -> None:
    started()
    answer, _ = ask(port, "/hello", Cookie=f"mtevauth={value}")
    assert (answer.status == 200) == known


@pytest.mark.parametrize(
    "header",
    ["a=b; mtevauth={}; c=d", "mtevauth={}; mtevauth=zzz", "mtevauth={lower}"],
)
def test_a_cookie_among_others(port: int, header: str) -> None:
    started()
    value = made()
    lower = re.sub("%[0-9A-F]{2}", lambda each: each[0].lower(), value)
    assert ask(port, "/hello", Cookie=header.format(value, lower=lower))[0].status == 200


def test_every_bit_of_a_cookie_counts(port: int) -> None:
    raw = unquote_to_bytes(made())
    for place in range(len(raw)):
        for bit in (1, 128):
            changed = raw[:place] + bytes((raw[place] ^ bit,)) + raw[place + 1 :]
            assert opened("".join(f"%{each:02x}" for each in changed).encode(), KEY) is None


def test_a_long_user_gets_no_cookie(port: int) -> None:
    with pytest.raises(ValueError, match="255"):
        made(user=b"x" * 256)
    assert opened(made(user=b"x" * 255).encode(), KEY) is not None


@pytest.mark.parametrize(
    ("whereto", "location"),
    [
        ("/hello?a=1", "/hello?a=1"),
        ("//elsewhere.test/", "/"),
        ("/\\elsewhere.test", "/"),
        ("https://elsewhere.test/", "/"),
        ("hello", "/"),
        ("/a%0d%0aSet-Cookie: x=y", "/"),
        ("/\t/elsewhere.test", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_nowhere_else(port: int, whereto: str, location: str) -> None:
    started()
    body = "username=bob&password=secret&whereto=" + "".join(f"%{ord(each):02x}" for each in whereto)
    if "%0d" in whereto:
        body = "username=bob&password=secret&whereto=/a%0d%0aSet-Cookie:%20x=y"
    answer, _ = ask(port, "/login", "POST", body)
    assert (answer.status, answer.getheader("Location")) == (302, location)


def test_a_password_as_browsers_send_it(port: int) -> None:
    started()
    answer, _ = ask(port, "/login", "POST", "username=alice&password=pass+word%2B1")
    assert answer.status == 302


def test_failures_are_counted_by_user_and_address(port: int) -> None:
    made = started(max_failures="3", failure_window="60")
    for _ in range(3):
        assert ask(port, "/login", "POST", "username=bob&password=no")[0].status == 200
    answer, body = ask(port, "/login", "POST", "username=bob&password=secret")
    assert answer.status == 429 and 1 <= int(answer.getheader("Retry-After") or 0) <= 60 and "<form" in body
    assert ask(port, "/login", "POST", "username=alice&password=pass+word%2B1")[0].status == 302
    made._failures.clear()  # as a minute later
    assert ask(port, "/login", "POST", "username=bob&password=secret")[0].status == 302


def test_a_logout_ends_the_login_however_often_its_cookie_was_renewed(port: int) -> None:
    started()
    first = cookie_of(ask(port, "/login", "POST", "username=bob&password=secret")[0])
    second = cookie_of(ask(port, "/hello", Cookie=f"mtevauth={first}")[0])
    other = cookie_of(ask(port, "/login", "POST", "username=bob&password=secret")[0])
    assert first != second
    answer, _ = ask(port, "/logout", "POST", "", Cookie=f"mtevauth={second}")
    assert answer.status == 302 and (answer.getheader("Set-Cookie") or "").startswith("mtevauth=; Max-Age=0")
    assert [ask(port, "/hello", Cookie=f"mtevauth={each}")[0].status for each in (first, second, other)] == [
        302,
        302,
        200,
    ]


def test_the_hook_decides(port: int) -> None:
    asked: list[tuple[str, str]] = []

    def decide(request: Request, user: str, password: str) -> int:
        asked.append((user, password))
        if user == "dave":
            request.user, request.auth = b"david", b"ldap"
            return hooks.DONE
        return hooks.DONE if user == "erin" else hooks.ABORT if user == "bob" else hooks.CONTINUE

    HTTP_AUTH.register("test", decide)
    try:
        started()
        found = {}
        for user, password in (("dave", "x"), ("erin", "y"), ("bob", "secret"), ("alice", "pass%20word%2B1")):
            answer, _ = ask(port, "/login", "POST", f"username={user}&password={password}")
            login = opened(cookie_of(answer).encode(), KEY)
            found[user] = None if login is None else (login.user, login.auth)
        assert found == {
            "dave": (b"david", b"ldap"),
            "erin": (b"erin", b"http_auth"),
            "bob": None,
            "alice": (b"alice", b"hmac_cookie_test"),
        }
        assert asked[0] == ("dave", "x")
    finally:
        HTTP_AUTH.unregister("test")


def test_whoever_asks_by_a_whole_url_is_led_back_to_its_path(port: int) -> None:
    started()
    for target in ("http://www.example.test/hello?a=1", "/hello?a=1"):
        answer, _ = ask(port, target)
        assert answer.getheader("Location") == "/login?whereto=%2Fhello%3Fa%3D1"


def test_nobody_logs_in_without_a_password(port: int) -> None:
    started(user_empty="")
    for body in ("username=empty&password=", "username=empty", "username=empty&password=x"):
        answer, page = ask(port, "/login", "POST", body)
        assert (answer.status, answer.getheader("Set-Cookie")) == (200, None) and "<form" in page


def test_a_body_of_somebody_unknown_is_answered_by_the_form(port: int) -> None:
    runtime_http.mount("POST", "/", "^hello$", hello)
    started()
    answer, _ = ask(port, "/hello", "POST", "x" * 1000)
    assert (answer.status, answer.getheader("Location")) == (302, "/login?whereto=%2Fhello")
    answer, body = ask(port, "/hello", "POST", "x", Cookie=f"mtevauth={made()}")
    assert answer.status == 200 and body == "Hello alice"


@pytest.mark.parametrize(
    ("domain", "host", "shown"),
    [
        ("", "www.example.test", "Domain=example.test"),
        ("", "[::1]:80", ""),
        ("", "10.0.0.1", ""),
        ("none", "www.example.test", ""),
        ("example.test", "a.b.example.test", "Domain=example.test"),
        ("example.test", "example.test", "Domain=example.test"),
        ("example.test", "badexample.test", ""),
        (".Example.Test", "www.example.test", "Domain=example.test"),
        ("", "WWW.Example.Test:8080", "Domain=example.test"),
        ("", "a.b.example.test", "Domain=b.example.test"),
        ("", "www.example.test.", ""),
    ],
)
def test_the_domain_of_a_cookie(port: int, domain: str, host: str, shown: str) -> None:
    started(domain=domain) if domain else started()
    answer, _ = ask(port, "/hello", host=host, Cookie=f"mtevauth={made()}")
    parts = (answer.getheader("Set-Cookie") or "").split("; ")
    assert [each for each in parts if each.startswith("Domain")] == ([shown] if shown else [])


def test_a_cookie_jar_keeps_somebody_logged_in(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", time)
    started()
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    form = browser.open(f"http://127.0.0.1:{port}/hello").read().decode()
    assert 'name="whereto" value="/hello"' in form
    landed = browser.open(f"http://127.0.0.1:{port}/login", b"username=bob&password=secret&whereto=%2Fhello")
    assert landed.read() == b"Hello bob" and landed.url.endswith("/hello")
    assert browser.open(f"http://127.0.0.1:{port}/hello").read() == b"Hello bob"
    assert [(each.name, each.path, each.has_nonstandard_attr("HttpOnly")) for each in jar] == [("mtevauth", "/", True)]
    assert b"<form" in browser.open(f"http://127.0.0.1:{port}/logout", b"").read()
    assert len(jar) == 0


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"key": "00" * 31}, "key: expected 32 bytes .*, got"),
        ({"key": ""}, "got 0"),
        ({"key": "not base 64!"}, "got 0"),
        ({"key": "AAAA"}, "got 3"),
        ({"max_age": "soon"}, "max_age"),
        ({"max_age": "0"}, "max_age"),
        ({"max_failures": "-1"}, "max_failures"),
    ],
)
def test_bad_keys_are_named_without_their_secret(config: dict[str, str], wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted) as failure:
        HmacCookie().configure(config)
    assert "base 64!" not in str(failure.value)


def test_keys_in_either_form_and_none() -> None:
    by_hex, by_base64, random, again = HmacCookie(), HmacCookie(), HmacCookie(), HmacCookie()
    by_hex.configure({"key": RECORDED["key_hex"].upper()})
    by_base64.configure({"key": RECORDED["key_base64"]})
    random.configure({})
    again.configure({})
    assert by_hex.key == by_base64.key == KEY and random.key != again.key and random.max_age == 86400
