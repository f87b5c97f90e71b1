"""The module http_hmac_cookie in the real program: with browsers' rules of cookies, and a Lua function that decides."""

import http.client
import http.cookiejar
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from chromium import MISSING, chromium
from moduleprogram import Program

KEY = "00" * 31 + "5a"
PASSWORD = "pass word+1&ü%"
ACL = '<rule type="allow" url="^/(log(in|out)|metrics)$"/><rule type="allow" user="^(alice|carol)$"/>'
LOGGED_IN = "mtev_capabilities"  # of /capa


def program(directory: Path, *, config: str = "", logs: str = "", acl: str = ACL) -> Program:
    config = f"<key>{KEY}</key><user_alice>{PASSWORD.replace('&', '&amp;')}</user_alice>{config}"
    module = f'<generic image="http_hmac_cookie" name="http_hmac_cookie"><config>{config}</config></generic>'
    return Program(directory, module, logs=logs, acl=acl)


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
        deadline = time.monotonic() + 60
        while not self.driver.execute_script(script):
            assert time.monotonic() < deadline
            time.sleep(0.02)

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
