"""mtev.Api with kept connections, redirects and proxies, against Python's HTTP server and a proxy that tunnels."""

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from connectproxy import Proxy
from stockserver import serving


class Echo(http.server.BaseHTTPRequestHandler):
    """Tells what it was asked, and does what the path says."""

    protocol_version = "HTTP/1.1"
    connections = 0
    lock = threading.Lock()
    other = ""  # where /away leads to

    def setup(self) -> None:
        super().setup()
        with self.lock:
            Echo.connections += 1
            self.number = Echo.connections
        self.count = 0

    def log_message(self, *_args: Any) -> None: ...

    def do_any(self) -> None:
        self.count += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, what = self.path.partition("?")
        if path == "/drop":  # answers once, and is gone when it is asked again
            if self.count > 1:
                self.close_connection = True
                return
        elif path == "/half" and self.count > 1:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
            self.close_connection = True
            return
        elif path == "/hold":
            self.server.hold.wait(20)  # type: ignore[attr-defined]
        elif path.startswith("/to"):
            self.send_response(int(path[3:6]))
            if what:
                self.send_header("Location", what.replace("{other}", self.other))
            self.send_header("Content-Length", "4")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"gone")
            return
        said = {
            "method": self.command,
            "path": self.path,
            "headers": {key.lower(): value for key, value in self.headers.items()},
            "body": body.decode(),
            "connection": self.number,
            "count": self.count,
        }
        text = json.dumps(said).encode()
        self.send_response(200)
        if path == "/close":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = do_any


@pytest.fixture
def echo() -> Iterator[int]:
    with serving(Echo) as port:
        yield port


def main(body: str) -> str:
    return "function main()\n" + body + "\nos.exit(0)\nend\n"


POOL = """
local pool = mtev.HttpPool:new({ %s })
local api = mtev.Api:http("127.0.0.1", %d):set_pool(pool):set_timeout(20)
local function stats()
  local s = pool:stats()
  return ("%%d kept, %%d used, %%d made, %%d reused, %%d retried"):format(s.kept, s.used, s.made, s.reused, s.retried)
end
"""


def test_connections_are_kept_and_used_by_whoever_comes_next(lua: Any, echo: int) -> None:
    said = lua(
        main(
            POOL % ("", echo)
            + """
            local first = api:get("/a"):json()
            local second = api:post("/b", { x = 1 }):json()
            print(first.connection == second.connection, second.count, first.headers.connection)
            local third
            mtev.coroutine_spawn(function() third = api:get("/c"):json() mtev.notify("done") end)
            mtev.waitfor("done", 20)
            mtev.sleep(0.01)
            print(third.connection == first.connection, third.count, stats())
            print(api:head("/d"):rc(), api:get("/e"):json().count)
            api:get("/close")
            print(stats())
            print(api:get("/f"):json().connection ~= first.connection)
            pool:close()
            print(stats(), tostring(pool))
            """
        )
    )
    assert said.splitlines() == [
        "true\t2\tnil",
        "true\t3\t1 kept, 0 used, 1 made, 2 reused, 0 retried",
        "200\t5",
        "0 kept, 0 used, 1 made, 5 reused, 0 retried",
        "true",
        "0 kept, 0 used, 2 made, 5 reused, 0 retried\tmtev.HttpPool",
    ]


def test_without_a_pool_each_request_has_a_connection_of_its_own(lua: Any, echo: int) -> None:
    said = lua(
        main(
            f"""
            local api = mtev.Api:http("127.0.0.1", {echo})
            local first, second = api:get("/a"):json(), api:get("/b"):json()
            print(first.connection ~= second.connection, first.headers.connection)
            """
        )
    )
    assert said == "true\tclose\n"


def test_a_connection_that_died_meanwhile_is_no_fault_of_who_may_ask_again(lua: Any, echo: int) -> None:
    said = lua(
        main(
            POOL % ("", echo)
            + """
            for _, method in ipairs({ "GET", "PUT", "DELETE", "OPTIONS", "HEAD" }) do
              api:get("/drop")
              print(method, api:request(method, "/drop"):rc(), stats())
              pool:close()
            end
            for _, method in ipairs({ "POST", "PATCH" }) do
              api:get("/drop")
              local result = api:request(method, "/drop", "x")
              print(method, result:rc(), result:text(), stats())
              pool:close()
            end
            api:get("/half")
            print(select(2, pcall(api.get, api, "/half")):match("malformed.*")) -- something came: it was not dead
            """
        )
    )
    lines = said.splitlines()
    for at, method in enumerate(["GET", "PUT", "DELETE", "OPTIONS", "HEAD"], 1):
        assert lines[at - 1] == f"{method}\t200\t1 kept, 0 used, {2 * at} made, {at} reused, {at} retried"
    assert lines[5] == "POST\t-1\tno response\t0 kept, 0 used, 11 made, 6 reused, 5 retried"
    assert lines[6].startswith("PATCH\t-1\tno response")
    assert lines[7].startswith("malformed")


def test_one_that_was_closed_is_found_before_it_is_used(lua: Any) -> None:
    said = lua(
        main(
            """
            local server = mtev.socket("inet")
            server:bind("127.0.0.1", 0)
            server:listen(4)
            local _, port = server:sock_name()
            mtev.coroutine_spawn(function()
              local mine = server:own()
              for count = 1, 3 do
                local peer = mine:accept()
                peer:read("\\r\\n\\r\\n")
                peer:write("HTTP/1.1 200 OK\\r\\nContent-Length: 1\\r\\n\\r\\n" .. count)
                if count == 2 then peer:write("HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nforged") end
                if count == 1 then peer:close() end
                mtev.notify("said")
              end
              mtev.waitfor("never", 20)
            end)
            local pool = mtev.HttpPool:new()
            local api, said = mtev.Api:http("127.0.0.1", port):set_pool(pool), ""
            for _ = 1, 3 do
              said = said .. api:post("/", "x"):text()
              mtev.waitfor("said")
              mtev.sleep(0.05)
            end
            print(said, pool:stats().retried)
            """
        )
    )
    assert said == "123\t0\n"


def test_what_is_kept_too_long_or_too_much_is_closed(lua: Any, echo: int) -> None:
    said = lua(
        main(
            POOL % ("idle = 1.5, kept = 2", echo)
            + """
            local done = 0
            for i = 1, 5 do
              mtev.coroutine_spawn(function()
                api:get("/x")
                done = done + 1
                if done == 5 then mtev.notify("done") end
              end)
            end
            mtev.waitfor("done", 20)
            print(pool:stats().kept)
            while pool:stats().kept > 0 do mtev.sleep(0.02) end
            api:get("/x")
            print(stats())
            local none = mtev.HttpPool:new({ kept = 0 })
            api:set_pool(none):get("/x")
            print(none:stats().kept, none:stats().made)
            """
        )
    )
    assert said.splitlines() == ["2", "1 kept, 0 used, 6 made, 0 reused, 0 retried", "0\t1"]


def test_no_more_than_a_few_connections_go_to_one_place(lua: Any, echo: int) -> None:
    said = lua(
        main(
            POOL % ("each = 2", echo)
            + """
            local most, used, done = 0, 0, 0
            for i = 1, 10 do
              mtev.coroutine_spawn(function()
                api:get("/x")
                most = math.max(most, pool:stats().used)
                done = done + 1
                if done == 10 then mtev.notify("done") end
              end)
            end
            mtev.waitfor("done", 20)
            print(most <= 2, stats())
            """
        )
    )
    assert said == "true\t2 kept, 0 used, 2 made, 8 reused, 0 retried\n"


def test_a_place_is_waited_for_no_longer_than_may_be_and_a_cancelled_request_gives_it_up(lua: Any) -> None:
    said = lua(
        main(
            """
            local server = mtev.socket("inet")
            server:bind("127.0.0.1", 0)
            server:listen(4)
            local _, port = server:sock_name() -- which nobody answers
            local pool = mtev.HttpPool:new({ each = 1 })
            local slow = mtev.Api:http("127.0.0.1", port):set_pool(pool):set_timeout(30)
            local quick = mtev.Api:http("127.0.0.1", port):set_pool(pool):set_timeout(0.1)
            local co
            mtev.coroutine_spawn(function() co = coroutine.running() slow:get("/") end)
            local result = quick:get("/")
            print(result:rc(), result:text(), pool:stats().used)
            mtev.cancel_coro(co)
            print(pool:stats().used)
            """
        )
    )
    assert said == "-1\ttimeout\t1\n0\n"


def test_connections_of_other_places_and_other_tls_are_not_used(lua: Any, echo: int, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("localhost", "localhost")
    stranger = Authority(tmp_path, "Another")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    with serving(Echo, context) as port:
        said = lua(
            main(
                f"""
                local pool = mtev.HttpPool:new()
                local function api(ca)
                  return mtev.Api:https("localhost", {port}, nil, {{ ca_file = ca }}):set_pool(pool)
                end
                local good, bad = "{authority.issued.certificate}", "{stranger.issued.certificate}"
                local one = api(good):get("/a"):json()
                print(api(good):get("/b"):json().count, pool:stats().reused)
                print(api(bad):get("/c"):rc(), pool:stats().reused)
                print(mtev.Api:https("127.0.0.1", {port}, nil, {{ ca_file = good }}):set_pool(pool):get("/d"):rc())
                print(mtev.Api:http("127.0.0.1", {echo}):set_pool(pool):get("/e"):rc(), pool:stats().kept)
                """
            )
        )
    assert said.splitlines() == ["2\t1", "-1\t1", "-1", "200\t2"]


FOLLOW = """
local function follow(method, path, payload, headers, most)
  local api = mtev.Api:http("127.0.0.1", %d):set_redirects(most or 5)
  local result = api:request(method, path, payload, headers)
  return result, result:rc() == 200 and method ~= "HEAD" and result:json() or nil
end
"""


def test_redirects_change_the_method_as_they_should(lua: Any, echo: int) -> None:
    said = lua(
        main(
            FOLLOW % echo
            + """
            for _, code in ipairs({ 301, 302, 303, 307, 308 }) do
              local line = { code }
              for _, method in ipairs({ "GET", "POST", "PUT", "DELETE" }) do
                local headers = { ["Content-Type"] = "text/x", ["X-Own"] = "1" }
                local body = method ~= "GET" and "body" or nil
                local result, said = follow(method, "/to" .. code .. "?/end?q=1", body, headers)
                line[#line + 1] = said.method .. ":" .. said.body .. ":" .. tostring(said.headers["content-type"])
                assert(said.path == "/end?q=1" and said.headers["x-own"] == "1" and result.redirects == 1)
              end
              line[#line + 1] = follow("HEAD", "/to" .. code .. "?/end"):rc()
              print(table.concat(line, " "))
            end
            for _, code in ipairs({ 300, 304, 305, 306 }) do print(follow("GET", "/to" .. code .. "?/end"):rc()) end
            print(follow("GET", "/to302?/end", nil, nil, 0):rc())
            """
        )
    )
    kept = "PUT:body:text/x DELETE:body:text/x 200"
    assert said.splitlines() == [
        f"301 GET::text/x GET::nil {kept}",
        f"302 GET::text/x GET::nil {kept}",
        "303 GET::text/x GET::nil GET::nil GET::nil 200",
        f"307 GET::text/x POST:body:text/x {kept}",
        f"308 GET::text/x POST:body:text/x {kept}",
        "300",
        "304",
        "305",
        "306",
        "302",
    ]


def test_redirects_lead_where_they_say(lua: Any, echo: int) -> None:
    said = lua(
        main(
            FOLLOW % echo
            + """
            local function went(location) return (follow("GET", "/to302?" .. location)) end
            for _, location in ipairs({ "/a/../b", "c", "./d", "../../e", "/f#part", "//127.0.0.1:PORT/g",
                "HTTP://127.0.0.1:PORT", "http://user:secret@127.0.0.1:PORT/h" }) do
              local result = went(location)
              print(result:rc(), result.url:match("^http://127.0.0.1:PORT(.*)$"), result:json().headers.authorization)
            end
            for _, location in ipairs({ "ftp://127.0.0.1/", "javascript:alert(1)", "http://", "http://[::1",
                "http://a:99999/" }) do
              print(went(location):rc())
            end
            """.replace("PORT", str(echo))
        )
    )
    assert said.splitlines() == [
        "200\t/b\tnil",
        "200\t/c\tnil",
        "200\t/d\tnil",
        "200\t/e\tnil",
        "200\t/f\tnil",
        "200\t/g\tnil",
        "200\t/\tnil",
        "200\t/h\tnil",
        *["302"] * 5,
    ]


def test_redirects_end(lua: Any, echo: int) -> None:
    said = lua(
        main(
            FOLLOW % echo
            + """
            local result = follow("GET", "/to302?/to302?/to302?/to302?/end", nil, nil, 2)
            print(result:rc(), result:text(), result.redirects)
            print(follow("GET", "/to302?/to302?/to302?/to302?/end", nil, nil, 4):rc())
            result = follow("GET", "/to302?/to302")
            print(result:rc())
            print(follow("GET", "/to307"):rc())
            """
        )
    )
    assert said.splitlines() == ["-1\tmore than 2 redirects\t2", "200", "302", "307"]


def test_a_circle_of_redirects_is_left(lua: Any) -> None:
    class Circle(Echo):
        def do_any(self) -> None:
            self.send_response(302)
            self.send_header("Location", "/b" if self.path == "/a" else "/a")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_any

    with serving(Circle) as port:
        said = lua(main(FOLLOW % port + 'print(follow("GET", "/a"):text())'))
    assert said == f"redirected in a circle, to http://127.0.0.1:{port}/a\n"


def test_credentials_stay_where_they_were_given(lua: Any, echo: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Echo) as other:
        monkeypatch.setattr(Echo, "other", f"http://127.0.0.1:{other}")
        said = lua(
            main(
                FOLLOW % echo
                + """
                local headers = { Authorization = "Basic x", cookie = "a=1", ["X-Own"] = "1", Host = "of.mine" }
                for _, location in ipairs({ "/end", "{other}/end", "{other}/to302?http://127.0.0.1:PORT/end" }) do
                  local _, said = follow("GET", "/to302?" .. location, nil, headers)
                  local h = said.headers
                  print(h.authorization, h.cookie, h["x-own"], h.host)
                end
                """.replace("PORT", str(echo))
            )
        )
    assert said.splitlines() == [
        "Basic x\ta=1\t1\tof.mine",
        f"nil\tnil\t1\t127.0.0.1:{other}",
        f"nil\tnil\t1\t127.0.0.1:{echo}",
    ]


def test_tunnels_and_requests_go_through_a_proxy(lua: Any, echo: int, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("localhost", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    with serving(Echo, context) as secure, Proxy("user:p@ss") as proxy:
        said = lua(
            main(
                f"""
                local pool = mtev.HttpPool:new()
                local url = "http://user:p%40ss@127.0.0.1:{proxy.port}"
                local plain = mtev.Api:http("localhost", {echo}):set_proxy(url):set_pool(pool)
                local one = plain:get("/a?b=c"):json()
                local other = plain:post("/p", "body"):json()
                print(one.path, one.headers.host, one.headers["proxy-authorization"], other.body)
                local config = {{ ca_file = "{authority.issued.certificate}" }}
                local tls = mtev.Api:https("localhost", {secure}, nil, config):set_proxy(url):set_pool(pool)
                print(tls:get("/s"):json().headers["proxy-authorization"], tls:get("/t"):json().count)
                print(mtev.Api:https("127.0.0.1", {secure}, nil, config):set_proxy(url):get("/s"):rc())
                local nobody = "127.0.0.1:{proxy.port}"
                print(mtev.Api:https("localhost", {secure}, nil, config):set_proxy(nobody):get("/"):text())
                print(mtev.Api:http("localhost", {echo}):set_proxy(nobody):get("/"):rc())
                print(plain:set_proxy(url, "localhost"):get("/direct"):json().path)
                print(plain:set_proxy("127.0.0.1:1"):get("/"):text())
                print(plain:set_proxy(nil):get("/none"):json().path)

                local client = mtev.HttpClient:new(nil, config)
                client:set_proxy(url)
                print(client:connect("localhost", {secure}, true))
                client:do_request("GET", "/low")
                print(mtev.parsejson(client:get_response()):document().path)
                print(client:connect("localhost", {echo}))
                client:do_request("OPTIONS", "*")
                print(mtev.parsejson(client:get_response()):document().path)
                client:set_proxy(nil)
                print(client:connect("127.0.0.1", {echo}))
                """
            )
        )
    assert said.splitlines() == [
        f"/a?b=c\tlocalhost:{echo}\tnil\tbody",
        "nil\t2",
        "-1",
        "proxy: 407 Proxy Authentication Required",
        "407",
        "/direct",
        "proxy: Connection refused",
        "/none",
        "0",
        "/low",
        "0",
        "/",
        "0",
    ]
    assert f"GET http://localhost:{echo}/a?b=c HTTP/1.1" in proxy.seen
    assert f"CONNECT localhost:{secure} HTTP/1.1" in proxy.seen
    assert f"OPTIONS http://localhost:{echo} HTTP/1.1" in proxy.seen
    assert not any("/direct" in each or "/none" in each for each in proxy.seen)


@pytest.mark.parametrize(
    ("behaves", "why"),
    [("talks", "proxy: it says more than that it connected"), ("mute", "proxy: no response")],
)
def test_a_proxy_that_does_not_tunnel_is_named(lua: Any, echo: int, behaves: str, why: str) -> None:
    with Proxy(behaves=behaves) as proxy:
        said = lua(
            main(f'print(mtev.Api:https("127.0.0.1", {echo}):set_proxy("127.0.0.1:{proxy.port}"):get("/"):text())')
        )
    assert said == why + "\n"


def test_the_environment_names_a_proxy_to_who_asks_for_it(luamtev: Callable[..., Any], echo: int) -> None:
    program = main(
        f"""
        local function ask(api) return api:get("/"):rc() end
        for _, host in ipairs({{ "127.0.0.1", "localhost" }}) do
          print(host, ask(mtev.Api:http(host, {echo}):set_proxy(true)), ask(mtev.Api:http(host, {echo})))
        end
        """
    )
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy())
        for variables, count in (
            ({"http_proxy": "127.0.0.1:{}"}, 2),
            ({"HTTP_PROXY": "127.0.0.1:{}"}, 0),
            ({"ALL_PROXY": "http://127.0.0.1:{}/"}, 2),
            ({"https_proxy": "127.0.0.1:{}"}, 0),
            ({"http_proxy": "127.0.0.1:{}", "NO_PROXY": "other, localhost"}, 1),
            ({"http_proxy": "127.0.0.1:{}", "no_proxy": "127.0.0.0/8 .localhost"}, 0),
            ({"http_proxy": "127.0.0.1:{}", "no_proxy": "localhost:1,host"}, 2),
            ({"http_proxy": "127.0.0.1:{}", "no_proxy": "*"}, 0),
        ):
            before = len(proxy.seen)
            env = {key: value.format(proxy.port) for key, value in variables.items()}
            done = luamtev("main.lua", source=program, **env)
            assert done.stdout.decode().count("\t200\t200\n") == 2, (env, done.stdout, done.stderr)
            assert len(proxy.seen) - before == count, env


def test_arguments_are_looked_at(lua: Any) -> None:
    said = lua(
        main(
            """
            local api = mtev.Api:http("127.0.0.1", 80)
            local function why(f, ...) print((select(2, pcall(f, ...)):gsub("^.-bad", "bad"))) end
            why(api.set_pool, api, {})
            why(api.set_redirects, api, -1)
            why(api.set_redirects, api, "x")
            why(api.set_proxy, api, "https://proxy")
            why(api.set_proxy, api, "http://proxy/path")
            why(api.set_proxy, api, "http://proxy", 1)
            why(mtev.HttpPool.new, mtev.HttpPool, "x")
            why(mtev.HttpPool.new, mtev.HttpPool, { idle = "x" })
            why(mtev.HttpPool.new, mtev.HttpPool, { each = 0 })
            why(mtev.HttpClient.set_proxy, mtev.HttpClient:new(), 1)
            print(require("mtev.HttpPool") == mtev.HttpPool)
            """
        )
    )
    proxy = "http://[user:password@]host:port expected"
    assert said.splitlines() == [
        "bad argument #1 to 'set_pool' (mtev.HttpPool expected, got table)",
        "bad argument #1 to 'set_redirects' (whole number expected, got -1)",
        "bad argument #1 to 'set_redirects' (whole number expected, got x)",
        f"bad argument #1 to 'set_proxy' ({proxy}, got https://proxy)",
        f"bad argument #1 to 'set_proxy' ({proxy}, got http://proxy/path)",
        "bad argument #2 to 'set_proxy' (string expected, got number)",
        "bad argument #1 to 'new' (table expected, got string)",
        "bad argument #1 to 'new' (idle: number expected, got x)",
        "bad argument #1 to 'new' (each: at least 1 expected, got 0)",
        f"bad argument #1 to 'set_proxy' ({proxy}, got 1)",
        "true",
    ]
