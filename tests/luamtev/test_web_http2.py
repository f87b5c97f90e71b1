"""lua_web over HTTP/2: requests that come together are answered together, whatever their handlers do."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from h2.events import StreamReset
from h2client import Client
from webprogram import Web

HANDLERS = """
local acts = {}
served = 0
function acts.hello(http) http:status(200, "OK") http:header("Content-Type", "text/x-lua") http:write("hello") end
function acts.two(http) http:header("X-One", "1") http:header("X-Two", "2") http:write("a") http:write("b") end
function acts.many(http) for i = 1, 5 do http:header("X-" .. i, tostring(i)) end http:write("many") end
function acts.cookie(http) http:set_cookie("a", "1", {}) http:set_cookie("b", "2", {}) http:write("cookies") end
function acts.own(http) http:header("Content-Length", "3") http:write("own") end
function acts.nothing(http) http:status(204) end
function acts.empty(http) http:status(500) end
function acts.large(http) http:write(("x"):rep(200000)) end
function acts.slow(http) mtev.sleep(0.05) http:write("slow") end
function acts.parts(http) http:write("one") http:flush() mtev.sleep(0.01) http:write("two") end
function acts.asks(http)
  local req = http:request()
  http:write(req:headers("x-name") .. req:querystring("q") .. tostring(req:payload()) .. tostring(req:cookie("c")))
end
function acts.late(http)
  http:write("early")
  http:flush_end()
  mtev.sleep(0.01)
  mtev.shared_set("late", http:request():headers("x-name"))
end
function acts.told(http) http:write(mtev.shared_get("late") or "nothing") end
function acts.fails() error("on purpose") end
function acts.midway(http) http:write("part") http:flush() error("midway") end
function acts.denied(http, rest) rest:apply_acl() end
function acts.spin(http)
  local ends = os.clock() + 0.002
  while os.clock() < ends do end
  served = served + 1
  http:write(tostring(served))
end
function acts.framing(http)
  local name, value = unpack(({
    a = { "Connection", "close" }, b = { "Connection", "keep-alive" }, c = { "Transfer-Encoding", "chunked" },
    d = { "Content-Length", "x" }, e = { "Content-Length", "-1" }, f = { "Upgrade", "h2c" }, g = { "Keep-Alive", "1" },
    h = { "Content-Length", "2" }, i = { "content-length", "100" },
  })[http:request():querystring("q")])
  http:header(name, value)
  http:write("said")
end
function acts.count(http) http:write(tostring(served)) end
function handler(rest)
  local http = rest:http()
  local act = acts[http:request():uri():match("^/([a-z]*)")]
  if not act then return end
  act(http, rest)
  if not rest.denied then http:flush_end() end
end
"""


@pytest.fixture
def serving(web: Web) -> Web:
    return web.start(HANDLERS)


def test_each_kind_of_answer_is_itself_among_many_that_came_together(serving: Web) -> None:
    with Client(serving.port) as client:
        asked: dict[str, list[int]] = {}
        for _ in range(5):
            for act in [
                "hello",
                "two",
                "many",
                "cookie",
                "own",
                "nothing",
                "empty",
                "large",
                "slow",
                "parts",
                "fails",
                "none",
            ]:
                asked.setdefault(act, []).append(client.begin("/" + act))
            asked.setdefault("asks", []).append(client.begin("/asks?q=Q", ("x-name", "N"), ("cookie", "c=C")))
            asked.setdefault("midway", []).append(client.begin("/midway"))
        client.h2.increment_flow_control_window(2_000_000)
        client.send()
        bodies = {
            "hello": b"hello",
            "two": b"ab",
            "many": b"many",
            "cookie": b"cookies",
            "own": b"own",
            "nothing": b"",
            "empty": b"",
            "slow": b"slow",
            "parts": b"onetwo",
            "asks": b"NQnilC",
            "none": b"Not Found\n",
        }
        for act, body in bodies.items():
            for number in asked[act]:
                head = client.head(number)
                assert client.body(number) == body, act
                codes = {"nothing": "204", "empty": "500", "none": "404"}
                assert head[":status"] == codes.get(act, "200")
                assert head["date"].endswith("GMT")
                if act == "hello":
                    assert (head["content-type"], head["content-length"]) == ("text/x-lua", "5")
                if act == "many":
                    assert [head[f"x-{i}"] for i in range(1, 6)] == list("12345")
        for number in asked["fails"]:
            assert client.head(number)[":status"] == "500"
            assert client.body(number)
        for number in asked["large"]:
            assert client.body(number) == b"x" * 200_000
        for number in asked["midway"]:
            assert client.until(StreamReset, number)
    assert serving.stop() == 0
    lines = (serving.directory / "access.log").read_text().splitlines()
    assert len(lines) == 14 * 5
    pattern = re.compile(r'127\.0\.0\.1 - - \[.*\] "GET /\S+ HTTP/2" \d{3} \d+\|0 \d+\.\d{3}$')
    assert all(pattern.match(line) for line in lines)


def test_what_a_handler_says_of_framing_costs_its_stream_at_most(serving: Web) -> None:
    for which in "abcdefghi":
        with Client(serving.port) as client:
            plain = client.begin("/hello")  # the first: the client's library takes nothing behind a farewell
            odd = client.begin(f"/framing?q={which}")
            client.send()
            assert client.body(plain) == b"hello"
            while (ended := client.ends(odd)) is None:
                client.receive()
            assert not {"connection", "transfer-encoding", "upgrade", "keep-alive"} & client.heads(odd)
            assert isinstance(ended, StreamReset) == (which == "i")  # a length that was not kept to
            if which != "a":
                assert client.body(client.ask("/hello")) == b"hello"


def test_a_pathological_expression_costs_its_stream(web: Web) -> None:
    web.start(
        "function handler(rest) rest:http():write('x') rest:http():flush_end() end",
        web="<mount_bad>web:GET:/bad/:^(a+)+$</mount_bad><mount_post>web:POST:/bad/:^(a+)+$</mount_post>"
        "<mount_good>web:GET:/good/</mount_good>",
    )
    with Client(web.port) as client:
        bad = client.begin("/bad/" + "a" * 60 + "!")
        upload = client.begin("/bad/" + "a" * 60 + "!", method="POST", end=False)
        good = client.begin("/good/")
        client.send()
        assert client.head(bad)[":status"] in ("404", "500")
        assert client.head(upload)[":status"] in ("404", "500")
        assert client.body(good) == b"x"
        assert client.body(client.ask("/good/")) == b"x"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_curl_sees_the_status_of_every_refused_upload(serving: Web, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(bytes(3_000_000))
    command = ["curl", "-s", "-S", "--http2-prior-knowledge", "--max-time", "60", "-w", "%{http_code} ", "-X", "PUT"]
    once = ["-o", "/dev/null", f"http://127.0.0.1:{serving.port}/denied"]
    for body in ("small", f"@{tmp_path}/body") * 6:  # each alone: curl 7.88 cannot go on after it has stopped
        done = subprocess.run([*command, "--data-binary", body, *once], capture_output=True, text=True, check=False)
        assert done.stdout == "405 ", done.stderr


def test_large_answers_wait_for_the_window_of_their_stream(serving: Web) -> None:
    with Client(serving.port) as client:
        numbers = [client.begin("/large"), client.begin("/hello"), client.begin("/large")]
        client.send()
        assert client.body(numbers[1]) == b"hello"
        for number in (numbers[0], numbers[2]):
            assert client.body(number) == b"x" * 200_000


def test_windows_of_nothing_hold_the_answers_back(serving: Web) -> None:
    with Client(serving.port) as client:
        client.h2.update_settings({4: 0})
        client.send()
        numbers = [client.ask("/hello") for _ in range(3)]
        for number in numbers:
            assert client.head(number)[":status"] == "200"
        client.h2.update_settings({4: 65535})
        client.send()
        assert [client.body(number) for number in numbers] == [b"hello"] * 3


def test_a_handler_that_goes_on_after_its_answer_may_still_ask(serving: Web) -> None:
    with Client(serving.port) as client:
        number = client.ask("/late", ("x-name", "N"))
        assert client.body(number) == b"early"
        for _ in range(1000):
            said = client.body(client.ask("/told"))
            if said != b"nothing":
                break
        assert said == b"N"


def test_head_and_uploads_go_the_way_of_all_requests(serving: Web) -> None:
    with Client(serving.port) as client:
        number = client.ask("/hello", method="HEAD")
        head = client.head(number)
        assert (head[":status"], head["content-length"]) == ("200", "5")
        number = client.ask("/hello", method="POST", end=False)
        client.h2.send_data(number, b"abc", end_stream=True)
        client.send()
        assert client.body(number) == b"hello"


def test_a_burst_leaves_turns_to_others(serving: Web) -> None:
    with Client(serving.port) as busy, Client(serving.port) as other:
        assert other.body(other.ask("/hello")) == b"hello"
        numbers = [busy.begin("/spin") for _ in range(100)]
        busy.send()
        assert int(busy.body(numbers[0])) == 1
        assert int(other.body(other.ask("/count"))) < 60
        assert int(busy.body(numbers[-1])) == 100


def test_who_begins_to_watch_sees_the_requests_of_open_connections(web: Web) -> None:
    web.start(
        """
        seen = 0
        function watch() seen = seen + 1 return 0 end
        function handler(rest)
          local http = rest:http()
          if http:request():uri() == "/watch" then mtev.hook("mtev_rest_get_handler", "web", "watch") end
          http:write(tostring(seen))
          http:flush_end()
        end
        """
    )
    with Client(web.port) as client:
        said = [client.body(client.ask(path)) for path in ("/a", "/watch", "/b", "/b", "/c")]
    assert said == [b"0", b"0", b"1", b"2", b"3"]


def test_requests_of_both_kinds_are_served_in_turn(serving: Web) -> None:
    with Client(serving.port) as client:
        for _ in range(20):
            assert serving.text("/hello") == "hello"  # both have a leader run many handlers in one task
            numbers = {client.begin(f"/{act}"): act for act in ("hello", "slow", "fails", "two", "late", "hello")}
            client.send()
            bodies = {"hello": b"hello", "slow": b"slow", "two": b"ab", "late": b"early"}
            for number, act in numbers.items():
                assert act == "fails" or client.body(number) == bodies[act]


def test_two_thousand_requests_of_h2load_have_their_lines(serving: Web) -> None:
    if shutil.which("h2load") is None:
        pytest.skip("h2load is not here")
    url = f"http://127.0.0.1:{serving.port}/hello"
    done = subprocess.run(["h2load", "-n2000", "-c4", "-m50", url], capture_output=True, text=True, check=True)
    assert "2000 succeeded" in done.stdout
    assert "2000 2xx" in done.stdout
    assert serving.stop() == 0
    assert len((serving.directory / "access.log").read_text().splitlines()) == 2000
