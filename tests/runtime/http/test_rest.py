"""Routing and access control, without connections."""

import itertools
from collections.abc import Iterator

import pytest
from closing import forget
from hypothesis import given
from hypothesis import strategies as st

from runtime import conf, hooks, http
from runtime.http import Request, Response, Router, Subject
from runtime.http.rest import acl
from runtime.http.rest.table import Mountpoint


def nothing(_request: Request, _response: Response) -> None:
    pass


def route(method: str, base: str, expression: str) -> Mountpoint:
    return Mountpoint(method.encode(), base.encode(), expression.encode(), nothing, lambda _: True, False)


def router(*routes: Mountpoint) -> Router:
    made = Router()
    for each in routes:
        made.add(each)
    return made


def test_the_expression_sees_what_follows_the_base_and_its_captures_are_kept() -> None:
    mine = route("GET", "/a/b/", r"^(\w+)/(x)?(\d+)$")
    assert router(mine).find(b"GET", b"/a/b/cd/12") == (mine, (b"cd", None, b"12"), ())


def test_the_first_route_made_wins_within_a_base_and_the_longest_base_over_all() -> None:
    first, second, longer = route("GET", "/", "^a/b"), route("GET", "/", "b$"), route("GET", "/a/", "^b$")
    routes = router(first, second, longer)
    assert routes.find(b"GET", b"/a/b")[0] is longer
    assert routes.find(b"GET", b"/a/bb")[0] is first
    assert routes.find(b"GET", b"/b")[0] is second
    assert routes.remove(longer)
    assert not routes.remove(longer)
    assert routes.find(b"GET", b"/a/b")[0] is first, "not what was known before"


def test_a_path_without_route_has_no_methods_and_one_with_others_names_them() -> None:
    routes = router(route("POST", "/", "^a$"), route("PUT", "/", "^a$"), route("GET", "/", "^b$"))
    assert routes.find(b"GET", b"/c") == (None, (), ())
    assert routes.find(b"GET", b"/a") == (None, (), (b"POST", b"PUT"))
    assert routes.find(b"DELETE", b"/b") == (None, (), (b"GET", b"HEAD"))


def test_head_is_served_by_get_unless_it_has_a_route() -> None:
    get, head = route("GET", "/", "^"), route("HEAD", "/", "^x$")
    routes = router(get, head)
    assert routes.find(b"HEAD", b"/y")[0] is get
    assert routes.find(b"HEAD", b"/x")[0] is head


def test_what_cannot_be_mounted_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with a slash"):
        http.mount("GET", "x", "", nothing)
    with pytest.raises(ValueError, match=r"bad regular expression '\('"):
        http.mount("GET", "/", "(", nothing)


SEGMENT = st.sampled_from([b"", b"a", b"b", b"ab"])
PATH = st.lists(SEGMENT, max_size=4).map(lambda parts: b"/" + b"/".join(parts))


@given(st.lists(st.tuples(st.sampled_from(["GET", "PUT"]), PATH), max_size=6), PATH, st.sampled_from([b"GET", b"PUT"]))
def test_the_router_finds_what_a_search_of_all_routes_finds(
    wanted: list[tuple[str, bytes]], path: bytes, method: bytes
) -> None:
    found = [route(each, http.rest.table.base_of(base).decode(), "^a?") for each, base in wanted]
    matching = [each for each in found if each.method == method and path.startswith(each.base)]
    best = max(matching, key=lambda each: len(each.base), default=None)  # max takes the first of equals
    routes = router(*found)
    assert routes.find(method, path)[0] is best
    assert routes.find(method, path)[0] is best, "again, from memory"


def acls(text: str) -> acl.Acls:
    return acl.read(conf.loads(f"<app>{text}</app>".encode(), "app.conf"))


def ask(text: str, url: bytes = b"/", listener: dict[str, str] | None = None, **who: object) -> bool:
    return acls(text).allows(Subject(url, **who), listener or {})  # type: ignore[arg-type]


def test_without_acl_everybody_is_denied() -> None:
    assert not ask("")
    assert not ask("<rest/>")


def test_an_acl_falls_through_to_its_own_type() -> None:
    assert ask('<rest><acl type="allow"/></rest>')
    assert not ask('<rest><acl type="deny"/></rest>')
    assert not ask("<rest><acl/></rest>")
    assert ask('<include><rest><acl type="allow"/></rest></include>')


def test_the_first_rule_that_matches_decides() -> None:
    text = '<rest><acl type="deny"><rule type="deny" url="^/a/secret"/><rule type="allow" url="^/a/"/></acl></rest>'
    assert ask(text, b"/a/open")
    assert not ask(text, b"/a/secret")
    assert not ask(text, b"/b")


def test_an_acl_whose_conditions_fail_is_passed_over() -> None:
    text = """<rest><acl listener_acl="^internal$" type="allow"/>
      <acl type="deny"><rule type="allow" url="^/p"/></acl></rest>"""
    assert ask(text, listener={"acl": "internal"})
    assert not ask(text, listener={"acl": "other"})
    assert not ask(text)
    assert ask(text, b"/p")


@pytest.mark.parametrize(
    ("condition", "matching", "other"),
    [
        ('cn="^host"', {"cn": b"host.example"}, {"cn": None}),
        ('user="^adm"', {"user": b"admin"}, {"user": b"bob"}),
        ('auth="hmac"', {"auth": b"hmac"}, {"auth": None}),
        ('ip="10.0.0.0/8"', {"ip": "10.1.2.3"}, {"ip": "11.0.0.1"}),
        ('ip="10.0.0.0/8"', {"ip": "::ffff:10.1.2.3"}, {"ip": ""}),
        ('ip="fe80::/10"', {"ip": "fe80::1%eth0"}, {"ip": "10.0.0.1"}),
        ('ip="127.0.0.1" user="x"', {"ip": "127.0.0.1", "user": b"x"}, {"ip": "127.0.0.1"}),
    ],
)
def test_a_rule_asks_for_all_its_conditions(
    condition: str, matching: dict[str, object], other: dict[str, object]
) -> None:
    text = f'<rest><acl type="deny"><rule type="allow" {condition}/></acl></rest>'
    assert ask(text, **matching)
    assert not ask(text, **other)


def test_skipto_goes_on_at_a_later_rule() -> None:
    text = """<rest><acl type="deny"><rule skipto="own" user="^root$"/><rule type="deny" url="^/admin"/>
      <rule id="own" type="allow"/></acl></rest>"""
    assert ask(text, b"/admin", user=b"root")
    assert not ask(text, b"/admin", user=b"bob")
    assert ask(text, b"/x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<acl type="maybe"/>', "<acl> type='maybe': expected allow or deny"),
        ("<acl><rule/></acl>", "<rule> type='': expected allow or deny"),
        ('<acl><rule type="allow" url="("/></acl>', r"<rule> url='\(': bad regular expression"),
        ('<acl><rule type="allow" ip="1.2"/></acl>', "<rule> ip='1.2': expected a network"),
        ('<acl><rule id="a" skipto="a"/></acl>', "<rule> skipto='a': expected the id of a later rule"),
    ],
)
def test_an_acl_that_makes_no_sense_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(conf.ConfError, match="app.conf:2: " + message):
        acls(f"<rest>\n{text}</rest>")


def test_a_decision_is_not_remembered_for_another_listener() -> None:
    asked = acls('<rest><acl type="deny"><rule type="allow" listener_a="1"/></acl></rest>')
    for _ in range(50):
        assert asked.allows(Subject(b"/"), {"a": "1"})
        assert not asked.allows(Subject(b"/"), {"a": "2"})


@pytest.fixture(autouse=True)
def nobody_allowed() -> Iterator[None]:
    http.configure(None)
    yield
    forget()


numbers = itertools.count(1000)


@pytest.fixture
def configured() -> Iterator[None]:
    text = '<app><rest><acl><rule type="allow" ip="10.0.0.0/8"/></acl></rest></app>'
    http.configure(conf.loads(text.encode(), "app.conf"))
    yield
    http.configure(None)


def peer(address: str = "10.0.0.1", **config: str) -> http.Peer:
    return http.Peer(remote=address, listener=next(numbers), config=config)


@pytest.mark.usefixtures("configured")
def test_decide_names_the_route_or_the_status() -> None:
    route = http.mount("GET", "/decided/", "^a$", nothing)
    try:
        assert http.decide(peer(), b"GET", b"/decided/a") == (route, 0)
        assert http.decide(peer(), b"HEAD", b"/decided/a") == (route, 0)
        assert http.decide(peer("11.0.0.1"), b"GET", b"/decided/a") == (None, 403)
        assert http.decide(peer(), b"POST", b"/decided/a") == (None, 405)
        assert http.decide(peer(), b"GET", b"/decided/b") == (None, 404)
        assert http.decide(peer(document_root="/tmp"), b"GET", b"/decided/b") == (None, 0)
        assert http.decide(peer("11.0.0.1", document_root="/tmp"), b"GET", b"/decided/b") == (None, 403)
    finally:
        http.unmount(route)


def test_answers_are_old_once_routes_access_control_or_hooks_change() -> None:
    seen = [http.generation.current()]

    def is_new() -> bool:
        seen.append(http.generation.current())
        return seen[-1] != seen[-2]

    route = http.mount("GET", "/old/", "^a$", nothing)
    assert is_new()
    http.unmount(route)
    assert is_new()
    http.configure(None)
    assert is_new()
    for name in ("http_request_complete", "http_request_log", "http1_post_request", "http_response_starting"):
        hook = hooks.find(name)
        assert hook is not None
        hook.register("one", lambda *_: hooks.CONTINUE)
        assert is_new()
        hook.unregister("one")
        assert is_new()
    http.surround("around", lambda serve, request, response: serve(request, response))
    assert is_new()
    assert http.surrounded_by() == "around"
    hook.register("around", lambda *_: hooks.CONTINUE)
    assert not http.is_hooked(), "who serves elsewhere does what that one would"
    hook.register("other", lambda *_: hooks.CONTINUE)
    assert http.is_hooked()
    hook.unregister("other")
    http.surround("around", None)
    assert http.surrounded_by() is None and http.is_hooked()
    hook.unregister("around")
    assert is_new()
    assert not http.is_hooked()
    assert not is_new()
