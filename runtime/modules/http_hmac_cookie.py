"""Logins by a signed cookie, checked without a store, so that every node with the same key knows who is logged in.

Who asks is known before access control is asked: rules may name ``user`` and ``auth``.  Who is not, and is denied, is
sent to ``/login``.  Manual: http_hmac_cookie."""

import base64
import binascii
import hmac
import os
import re
import threading
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, quote, quote_from_bytes

from runtime import conf, hooks, http, log, stats
from runtime.conf import names
from runtime.http import Request, Response
from runtime.http.message.response import STARTING
from runtime.http.message.target import shown
from runtime.http.rest.dispatch import AUTH_DENIED, AUTHENTICATE

from . import _http_pages as pages
from ._http_cookie import KEY_BYTES, LONGEST, Login, new_login, opened, sealed

NAME: Final = "http_hmac_cookie"
COOKIE: Final = "mtevauth"
TEST_AUTH: Final = b"hmac_cookie_test"
"""The auth of those who log in with a password of the configuration."""
HOOK_AUTH: Final = b"http_auth"
"""The auth of those whom the hook let in, unless it said another."""

conf.hide("//config/key", "//config/*[starts-with(name(), 'user_')]")

HTTP_AUTH = hooks.declare("http_auth")
"""``callback(request, user, password)``, texts: DONE lets *user* in, or whoever it puts into ``request.user`` and
``request.auth``; ABORT does not; otherwise the configuration is asked.  It is called on the loop and may not
block."""

_MOST_TRACKED = 10_000  # addresses and users whose failures are remembered, and logins that were ended


class HmacCookie:
    """The module.  Logins are kept in no store; failures and ended logins are, for as long as they matter."""

    KEYS = names.names("key", "max_age", "domain", "max_failures", "failure_window", prefixes=["user_"])

    def configure(self, config: Mapping[str, str]) -> None:
        """Take keys.  Raises ValueError naming the one that cannot be used, and never its value."""
        self.key = _key(config.get("key"))
        self.max_age = _number(config, "max_age", 86400, 1)
        self.domain = config.get("domain", "").lower().lstrip(".")
        if not re.fullmatch(r"[a-z0-9._-]*", self.domain):
            raise ValueError("domain: expected a domain or none")
        self.max_failures = _number(config, "max_failures", 5, 1)
        self.failure_window = _number(config, "failure_window", 60, 1)
        self.users = {key[5:]: value for key, value in config.items() if key.startswith("user_")}
        for user in self.users:
            if not 0 < len(user.encode()) <= LONGEST:
                raise ValueError(f"user_{user}: expected a name of 1 to {LONGEST} bytes")
        self._lock = threading.Lock()
        self._failures: dict[tuple[str, str], list[float]] = {}
        self._ended: dict[bytes, float] = {}

    def init(self) -> None:
        """Begin to look at cookies, and mount ``/login`` and ``/logout``."""
        AUTHENTICATE.register(NAME, self._authenticate)
        STARTING.register(NAME, self._refresh)
        AUTH_DENIED.register(NAME, self._denied)
        for method, expression, handler in (
            ("GET", "^login$", self._form),
            ("POST", "^login$", self._login),
            ("POST", "^logout$", self._logout),
        ):
            http.mount(method, "/", expression, handler)

    def _authenticate(self, request: Request) -> int:
        login = self._login_of(request)
        if login is not None:
            request.user, request.auth = login.user, login.auth
        return hooks.CONTINUE

    def _login_of(self, request: Request) -> Login | None:
        """Who the first cookie of that name says is logged in, if it holds."""
        header = request.headers.get(b"cookie", b"")
        first = next((each for each in re.split(rb"[ ;]+", header) if each.startswith(b"mtevauth=")), None)
        login = None if first is None else opened(first[9:], self.key)
        if login is None:
            return None
        now = time.time()
        known = login.user.decode("utf-8", "replace") in self.users or HTTP_AUTH.exists()
        if not login.user or not known or not now < login.expiry <= now + self.max_age:
            return None
        return None if login.login in self._ended else login

    def _refresh(self, request: Request, response: Response) -> int:
        """Every response to somebody who is known renews the cookie."""
        if request.user and request.auth is not None and request.closure is not self._ended:
            known = self._login_of(request)
            same = known is not None and known.user == request.user and known.auth == request.auth
            begun = known.login if known is not None and same else new_login()
            self._set(request, response, Login(request.user, request.auth, int(time.time()) + self.max_age, begun))
        return hooks.CONTINUE

    def _set(self, request: Request, response: Response, login: Login) -> None:
        try:
            value = sealed(login, self.key)
        except ValueError as mistake:
            log.stream_find("error/http_hmac_cookie").log(f"no cookie for a login: {mistake}\n")
            return
        response.header("Set-Cookie", f"{COOKIE}={value}; Max-Age={self.max_age}{self._attributes(request)}")

    def _attributes(self, request: Request) -> str:
        host = request.headers.get(b"host", b"").decode("latin-1").rpartition("]")[2].partition(":")[0].lower()
        domain = self.domain
        if not domain and host.count(".") >= 2 and host[-1:].isalpha():
            domain = host.partition(".")[2]
        if domain and (domain == "none" or not f".{host}".endswith(f".{domain}")):
            domain = ""
        secure = "; Secure" if request.peer.secure else ""
        return f"{f'; Domain={domain}' if domain else ''}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def _denied(self, request: Request, response: Response) -> int:
        uri = request.uri if request.uri.startswith(b"/") else shown(request.uri)
        asked = "/login?whereto=" + quote_from_bytes(uri, safe="-_.~")
        if request.path == b"/login":
            _html(response, 500, "DENIED", pages.closed())
        elif request.user is None:
            response.status(302, "REDIRECT")
            response.header("Content-Type", "text/html")
            response.header("Location", asked)
            response.flush_end()
        else:
            _html(response, 403, "DENIED", pages.denied(request.user.decode("utf-8", "replace"), asked))
        return hooks.DONE

    def _form(self, request: Request, response: Response) -> None:
        """``GET /login?whereto=PATH``."""
        whereto = request.querystring("whereto") or b"/"
        _html(response, 200, "OK", pages.form(whereto.decode("utf-8", "replace")))

    def _login(self, request: Request, response: Response) -> None:
        """``POST /login`` with username, password and whereto."""
        try:
            fields = parse_qs(request.payload.decode("latin-1"), encoding="utf-8", max_num_fields=20)
        except ValueError:
            fields = {}
        user, password, whereto = (fields.get(each, [""])[0] for each in ("username", "password", "whereto"))
        if not user or not password:
            _html(response, 200, "OK", pages.form(whereto or "/"))
            return
        who = (user, request.peer.remote)
        wait = self._wait_for(who)
        if wait:
            _REFUSED.add()
            response.header("Retry-After", str(wait))
            _html(response, 429, "TOO MANY REQUESTS", pages.form(whereto or "/", "too many failures, try again later"))
            return
        if not self._lets_in(request, user, password):
            self._failed(who)
            _html(response, 200, "OK", pages.form(whereto or "/", "authentication failed"))
            return
        with self._lock:
            self._failures.pop(who, None)
        _LOGINS.add()
        response.status(302, "REDIRECT")
        response.header("Content-Type", "text/html")
        response.header("Location", _here(whereto))
        response.flush_end()

    def _lets_in(self, request: Request, user: str, password: str) -> bool:
        """Whether the hook or the configuration does; says who it is."""
        request.user = request.auth = None
        verdict = HTTP_AUTH.invoke(request, user, password)
        if verdict == hooks.DONE:
            request.user = request.user or user.encode()
            request.auth = request.auth or HOOK_AUTH
            return True
        expected = self.users.get(user)
        right = hmac.compare_digest((expected or "").encode(), password.encode("utf-8", "surrogateescape"))
        if verdict == hooks.ABORT or expected is None or not right:
            return False
        request.user, request.auth = user.encode(), TEST_AUTH
        return True

    def _logout(self, request: Request, response: Response) -> None:
        """``POST /logout``: ends the login that the cookie is of, on this node, and takes the cookie away."""
        login = self._login_of(request)
        if login is not None:
            with self._lock:
                _prune(self._ended, time.time())
                self._ended[login.login] = time.time() + self.max_age
        request.closure = self._ended  # it is not renewed
        response.status(302, "REDIRECT")
        response.header("Set-Cookie", f"{COOKIE}=; Max-Age=0{self._attributes(request)}")
        response.header("Content-Type", "text/html")
        response.header("Location", "/login")
        response.flush_end()

    def _wait_for(self, who: tuple[str, str]) -> int:
        """Seconds until *who* may try again; 0: now."""
        now = time.monotonic()
        with self._lock:
            failures = [each for each in self._failures.get(who, ()) if now - each < self.failure_window]
            if len(failures) < self.max_failures:
                return 0
            return int(failures[-self.max_failures] + self.failure_window - now) + 1

    def _failed(self, who: tuple[str, str]) -> None:
        _FAILURES.add()
        debug = log.stream_find("debug/http_hmac_cookie")
        if debug.enabled:
            debug.log(f"a login of {who[0]!r} from {who[1] or 'a local process'} failed\n")
        now = time.monotonic()
        with self._lock:
            if len(self._failures) >= _MOST_TRACKED:
                recent = [each for each in self._failures.items() if now - each[1][-1] < self.failure_window]
                recent.sort(key=lambda each: (len(each[1]), each[1][-1]))  # whoever tries most is forgotten last
                self._failures = dict(recent[-_MOST_TRACKED // 2 :])
            self._failures.setdefault(who, []).append(now)
            self._failures[who] = self._failures[who][-self.max_failures :]


_LOGINS = stats.counter("http_hmac_cookie.logins")
_FAILURES = stats.counter("http_hmac_cookie.failures")
_REFUSED = stats.counter("http_hmac_cookie.refused")


def _here(whereto: str) -> str:
    """*whereto* if it is a path of this host, else the top: nobody is led elsewhere."""
    plain = whereto.startswith("/") and not re.search(r"^/[/\\]|[\x00-\x20\x7f\\]", whereto)
    return quote(whereto, safe="/?&=%:@!$'()*+,;~#[]") if plain else "/"


def _html(response: Response, code: int, reason: str, page: str) -> None:
    response.status(code, reason)
    response.header("Content-Type", "text/html")
    response.header("Cache-Control", "no-store")
    response.write(page)
    response.flush_end()


def _prune(ended: dict[bytes, float], now: float) -> None:
    """Forget what has run out; of too many, the oldest."""
    for login in [each for each, until in ended.items() if until < now]:
        del ended[login]
    while len(ended) >= _MOST_TRACKED:
        del ended[next(iter(ended))]


def _key(text: str | None) -> bytes:
    """A key as configured, hexadecimal or base 64; a random one where there is none."""
    if text is None:
        return os.urandom(KEY_BYTES)
    text = text.strip()
    try:
        key = bytes.fromhex(text) if re.fullmatch("[0-9a-fA-F]{64}", text) else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"key: expected {KEY_BYTES} bytes in hexadecimal or base 64, got {len(key)}")
    return key


def _number(config: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = config.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII) or int(text) < least:
        raise ValueError(f"{name}: expected a number of at least {least}, got {text!r}")
    return int(text)
