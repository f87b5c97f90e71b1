"""The module http_hmac_cookie in the real program: with browsers' rules of cookies, and a Lua function that decides."""

import http.client
import http.cookiejar
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from chromium import MISSING, chromium
from launching import free_port
from moduleprogram import Program
from waiting import until

KEY = "00" * 31 + "5a"
PASSWORD = "pass word+1&ü%"
ACL = '<rule type="allow" url="^/(log(in|out)|metrics)$"/><rule type="allow" user="^(alice|carol)$"/>'
LOGGED_IN = "mtev_capabilities"  # of /capa


def program(directory: Path, *, config: str = "", acl: str = ACL, listeners: str = "") -> Program:
    config = f"<key>{KEY}</key><user_alice>{PASSWORD.replace('&', '&amp;')}</user_alice>{config}"
    module = f'<generic image="http_hmac_cookie" name="http_hmac_cookie"><config>{config}</config></generic>'
    return Program(directory, module, acl=acl, listeners=listeners)


class Here(http.client.HTTPConnection):
    """A connection to this machine, whatever the host is called."""

    def connect(self) -> None:
        self.sock = socket.create_connection(("127.0.0.1", self.port), 60)


class Opener(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(Here, req)  # type: ignore[return-value]


class Jar:
    """The standard library's client, which knows the rules of cookies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(Opener, urllib.request.HTTPCookieProcessor(self.jar))

    def get(self, host: str, path: str, body: "dict[str, str] | None" = None) -> str:
        data = None if body is None else urllib.parse.urlencode(body).encode()
        try:
            with self._opener.open(f"http://{host}:{self.port}{path}", data, timeout=60) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.read().decode()

    def log_in(self, host: str, user: str, password: str, path: str) -> str:
        assert "<form" in self.get(host, path)
        return self.get(host, "/login", {"username": user, "password": password, "whereto": path})

    def log_out(self, host: str) -> None:
        self.get(host, "/logout", {})

    def cookie(self) -> "dict[str, Any] | None":
        found = [each for each in self.jar if each.name == "mtevauth"]
        if not found:
            return None
        (cookie,) = found
        return {
            "domain": cookie.domain,
            "httpOnly": cookie.has_nonstandard_attr("HttpOnly"),
            "path": cookie.path,
            "sameSite": cookie.get_nonstandard_attr("SameSite"),
            "secure": cookie.secure,
            "value": cookie.value,
        }

    def set_value(self, value: str) -> None:
        for each in self.jar:
            each.value = value


class Browser:
    """Chromium."""

    def __init__(self, port: int, driver: Any) -> None:
        self.port, self.driver = port, driver

    def get(self, host: str, path: str) -> str:
        self.driver.get(f"http://{host}:{self.port}{path}")
        return str(self.driver.page_source)

    def log_in(self, host: str, user: str, password: str, path: str) -> str:
        assert "<form" in self.get(host, path)
        for name, value in (("username", user), ("password", password)):
            self.driver.find_element("name", name).send_keys(value)
        self.driver.execute_script("document.documentElement.id = 'before'")
        self.driver.find_element("tag name", "button").click()
        self.await_page()
        return str(self.driver.page_source)

    def await_page(self) -> None:
        """The page is another than it was, and there whole."""
        script = "return document.documentElement.id !== 'before' && document.readyState === 'complete'"
        until(lambda: self.driver.execute_script(script))

    def log_out(self, host: str) -> None:
        script = "const done = arguments[0]; fetch('/logout', { method: 'POST' }).then(() => done())"
        self.driver.execute_async_script(script)

    def cookie(self) -> "dict[str, Any] | None":
        found = self.driver.get_cookie("mtevauth")
        return None if found is None else {key: found[key] for key in found if key not in ("expiry", "name")}

    def set_value(self, value: str) -> None:
        domain = self.driver.get_cookie("mtevauth")["domain"]
        self.driver.add_cookie({"name": "mtevauth", "value": value, "domain": domain, "path": "/"})


@pytest.mark.skipif(MISSING, reason="no Chromium, and no Debian to get it from")
def test_a_jar_and_a_browser_keep_the_cookie_as_they_are_told(tmp_path: Path) -> None:
    www, other, elsewhere = "www.example.test", "other.example.test", "www.elsewhere.test"
    with program(tmp_path) as running, chromium("--host-resolver-rules=MAP *.test 127.0.0.1") as driver:
        browser = Browser(running.port, driver)
        for client in (Jar(running.port), browser):
            assert "authentication failed" in client.log_in(www, "alice", "wrong", "/capa")
            assert client.cookie() is None
            assert LOGGED_IN in client.log_in(www, "alice", PASSWORD, "/capa?x=1")
            cookie = client.cookie()
            assert cookie is not None
            value = cookie.pop("value")
            assert cookie == {
                "domain": ".example.test", "httpOnly": True, "path": "/", "sameSite": "Lax", "secure": False
            }  # fmt: skip
            assert LOGGED_IN in client.get(www, "/capa")
            assert LOGGED_IN in client.get(other, "/capa")
            assert "<form" in client.get(elsewhere, "/capa")
            assert LOGGED_IN in client.get(www, "/capa")
            client.set_value(value[:-1] + ("0" if value[-1] != "0" else "1"))
            assert "<form" in client.get(www, "/capa")
            client.set_value(value)
            assert LOGGED_IN in client.get(www, "/capa")
            client.log_out(www)
            assert client.cookie() is None
            assert "<form" in client.get(www, "/capa")
        assert LOGGED_IN in browser.log_in(www, "alice", PASSWORD, "/capa")
        assert "mtevauth" not in driver.execute_script("return document.cookie")
        browser.get(elsewhere, "/login")
        post = """document.documentElement.id = 'before'; const form = document.createElement('form');
            form.method = 'POST'; form.action = arguments[0]; document.body.append(form); form.submit()"""
        driver.execute_script(post, f"http://{www}:{running.port}/run")
        browser.await_page()
        assert www in driver.current_url
        assert "whereto" in driver.current_url, "a form elsewhere posts without the cookie"
        driver.get(f"http://{www}:{running.port}/capa")
        assert LOGGED_IN in driver.page_source, "a link there is followed with it"


def test_lua_decides_who_is_let_in(tmp_path: Path) -> None:
    acl = ACL.replace("metrics", "metrics|run")
    with program(tmp_path, acl=acl) as running:
        running.run(
            """
            asked = {}
            package.loaded.door = { ask = function(request, user, password)
              asked[#asked + 1] = request.method .. " " .. request.uri .. " " .. user
              if user == "carol" and password == "from lua" then return MTEV_HOOK_DONE end
              if password == "from nowhere" then return MTEV_HOOK_ABORT end
              return MTEV_HOOK_CONTINUE
            end }
            assert(mtev.hook("http_auth", "door", "ask"))"""
        )
        for user, password, let_in in (
            ("carol", "from lua", True),
            ("carol", "wrong", False),
            ("alice", PASSWORD, True),
            ("alice", "from nowhere", False),
        ):
            client = Jar(running.port)
            assert (LOGGED_IN in client.log_in("localhost", user, password, "/capa")) == let_in
            assert (client.cookie() is not None) == let_in
        asked = running.run("return table.concat(asked, ',')").split(",")
        assert asked == [f"POST /login {each}" for each in ("carol", "carol", "alice", "alice")]


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_over_tls_the_cookie_is_for_tls_alone(tmp_path: Path, version: str) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("localhost", "localhost")
    files = f"<certificate_file>{issued.certificate}</certificate_file><key_file>{issued.key}</key_file>"
    port = free_port()
    listener = f'<listener type="http_rest_api" address="127.0.0.1" port="{port}" ssl="on">'
    with program(tmp_path, listeners=f"{listener}<sslconfig>{files}</sslconfig></listener>") as running:
        running.wait(lambda: f"listening on 127.0.0.1:{port} " in running.errors())
        jar = tmp_path / "jar"
        curl = ["curl", "-sS", version, "--cacert", str(authority.issued.certificate), "-b", str(jar), "-c", str(jar)]
        url = f"https://localhost:{port}"
        form = ["-d", "username=alice", "--data-urlencode", f"password={PASSWORD}", "-d", "whereto=/capa"]
        said = subprocess.run([*curl, "-L", *form, f"{url}/login"], capture_output=True, text=True, timeout=60)
        assert LOGGED_IN in said.stdout, said
        (line,) = [each for each in jar.read_text().splitlines() if "mtevauth" in each]
        _, _, path, secure, *_ = line.split("\t")
        assert (line.startswith("#HttpOnly_localhost\t"), path, secure) == (True, "/", "TRUE")
        again = subprocess.run(
            [*curl, "-H", "Cookie: other=1", f"{url}/capa"], capture_output=True, text=True, timeout=60
        )
        assert LOGGED_IN in again.stdout


def test_five_failures_a_minute_then_429_and_others_are_let_in(tmp_path: Path) -> None:
    with program(tmp_path, config="<user_carol>else</user_carol>") as running:
        client = Jar(running.port)
        for _ in range(5):
            assert "authentication failed" in client.log_in("localhost", "alice", "guess", "/capa")
        for password in ("guess", PASSWORD):
            assert "too many failures" in client.log_in("localhost", "alice", password, "/capa")
        assert LOGGED_IN in client.log_in("localhost", "carol", "else", "/capa")
        assert running.metric("mtev_http_hmac_cookie_failures_total") == 5
        assert running.metric("mtev_http_hmac_cookie_refused_total") == 2
        assert running.metric("mtev_http_hmac_cookie_logins_total") == 1


SPEAKING = [
    "debug", "error", "notice", "http/io", "http/access", "debug/http", "debug/rest", "debug/acl", "debug/conf",
    "debug/http_hmac_cookie", "error/http_hmac_cookie", "debug/amqp", "debug/fq", "debug/consul", "debug/zipkin_otlp",
    "debug/zipkin_fq",
]  # fmt: skip


COMMANDS = [
    "show conf //*", "show conf -x /", "show conf //@*", "show conf //text()", "write terminal", "show fq",
    "configure terminal\r\nls network\r\nls network/mq[1]\r\nls //config\r\nls //cluster",
]  # fmt: skip


def test_secrets_are_in_no_log_no_page_and_no_console(tmp_path: Path) -> None:
    keys = {
        "consul": "<agent>http://user:secret1@127.0.0.1:1</agent><bearer_token>secret2</bearer_token>",
        "zipkin_otlp": "<url>http://user:secret3@127.0.0.1:1/v1</url><header_authorization>secret4</header_authorization>",
        "zipkin_fq": "<port>1</port><pass>secret5</pass>",
        "http_hmac_cookie": f"<key>{KEY}</key><user_alice>{PASSWORD.replace('&', '&amp;')}</user_alice>",
    }
    modules = "".join(
        f'<generic image="{name}" name="{name}"><config>{config}</config></generic>' for name, config in keys.items()
    )
    modules += '<generic image="amqp" name="amqp"/><generic image="fq" name="fq"/>'
    more = f"""<network><mq type="amqp"><port>1</port><pass>secret6</pass></mq>
      <mq type="fq"><port>1</port><pass>secret7</pass></mq></network>
      <zipkin><probability new="1"/></zipkin><consul><service><web port="1" address="a"/></service></consul>
      <clusters><cluster name="one" key="secret8" seq="1" port="{free_port()}" period="0"/></clusters>"""
    logs = '<console_output><outlet name="stderr"/>' + "".join(f'<log name="{each}"/>' for each in SPEAKING)
    with Program(tmp_path, modules, more, logs=f"{logs}</console_output>") as running:
        client = Jar(running.port)
        for password in ("secret9", PASSWORD):
            client.get("localhost", "/login", {"username": "alice", "password": password, "whereto": "/capa"})
        cookie = client.cookie()
        assert cookie is not None
        running.wait(lambda: "whereto=" in running.errors() and "not reached" in running.errors())
        seen = {"the log": running.errors()}
        for path in ("/capa", "/capa.json", "/metrics", "/mtev/stats.json", "/cluster.json", "/eventer/sockets.json"):
            seen[path] = running.get(path)[1]
        for said in COMMANDS:
            seen[said] = on_console(running, said)
        secrets = [f"secret{each}" for each in range(1, 10)] + [KEY, PASSWORD, cookie["value"]]
        secrets += [urllib.parse.quote(PASSWORD), urllib.parse.quote_plus(PASSWORD), PASSWORD.replace("&", "&amp;")]
        for place, text in seen.items():
            assert not [each for each in secrets if each in text], place
        assert "/v1" in seen["show conf //*"] and "(not shown)" in seen["write terminal"]
        assert "password=*******" in seen["the log"]
        assert running.stop() == 0
        assert not [each for each in secrets if each in running.errors()]


def on_console(running: Program, said: str) -> str:
    with socket.create_connection(("127.0.0.1", running.console), 60) as console, console.makefile("rb") as answer:
        console.sendall(f"{said}\r\nexit\r\nexit\r\n".encode())
        console.shutdown(socket.SHUT_WR)
        return answer.read().decode()
