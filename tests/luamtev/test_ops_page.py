"""The page at /ops/ in a real browser: what it shows is what the endpoints of the running program say."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from chromium import MISSING, chromium
from opsprogram import Ops
from waiting import until

pytestmark = pytest.mark.skipif(MISSING, reason="no Chromium, and no Debian to get it from")
PANELS = ["overview", "loops", "queues", "timers", "sockets", "logs", "lua", "profile", "routes", "memory"]
MARKUP = "<img src=x onerror=alert(1)>"


class Page:
    """The page in the browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def show(self, port: int, panel: str) -> None:
        """Load the page with a panel, and wait until that is drawn."""
        self.driver.get("about:blank")
        self.driver.get(f"http://127.0.0.1:{port}/ops/#{panel}")
        self.until(lambda: self.js("return document.getElementById('panel').dataset.panel") == panel)

    def js(self, script: str, *args: object) -> Any:
        return self.driver.execute_script(script, *args)

    def text(self, selector: str = "#panel") -> str:
        return str(self.js("return document.querySelector(arguments[0])?.textContent || ''", selector))

    def column(self, table: str, at: int) -> list[str]:
        """The cells of one column."""
        script = "return [...document.querySelectorAll(arguments[0])].map(each => each.textContent)"
        return list(self.js(script, f"[data-table={table}] tbody tr > :nth-child({at + 1})"))

    def until(self, holds: Callable[[], Any]) -> None:
        until(holds, lambda: self.text("body"))


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as driver:
        yield Page(driver)


@pytest.fixture(scope="module")
def ops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ops]:
    made = Ops(tmp_path_factory.mktemp("ops")).start()
    yield made
    made.kill()


def test_each_panel_is_drawn_and_nothing_fails_in_the_browser(ops: Ops, page: Page) -> None:
    page.driver.get_log("browser")
    for panel in PANELS:
        page.show(ops.port, panel)
        assert page.text("#state").startswith("as of "), panel
    assert page.driver.get_log("browser") == []


def test_the_panels_show_what_the_endpoints_say(ops: Ops, page: Page) -> None:
    page.show(ops.port, "loops")
    assert page.column("loops", 1) == [each["name"] for each in ops.json("/ops/loops.json")["threads"]]
    page.show(ops.port, "queues")
    assert page.column("queues", 0) == list(ops.json("/eventer/jobq.json"))
    page.show(ops.port, "timers")
    page.until(lambda: {"lua/sleep"} <= set(page.column("timers", 0)))
    source = next(each["source"] for each in ops.json("/eventer/timers.json") if each["callback"] == "lua/sleep")
    assert source in page.column("timers", 4)
    page.show(ops.port, "sockets")
    listening = {each["fd"] for each in ops.json("/eventer/sockets.json") if each["callback"].startswith("listener")}
    assert {str(fd) for fd in listening} <= set(page.column("sockets", 0))
    page.show(ops.port, "lua")
    states = ops.json("/module/lua/state.json")
    (general,) = states["lua_general"].values()
    shown = page.text()
    assert all(each["address"] in shown for each in general["coroutines"])
    page.show(ops.port, "memory")
    resident = ops.json("/mtev/memory.json").get("process")
    if resident is not None:
        assert "process.resident" in page.column("memory", 0)
    page.show(ops.port, "routes")
    before = ops.answers("GET /web/ (.*)$")
    ops.text("/web/x")
    page.until(lambda: f"2xx: {before + 1}" in page.text())  # without being loaded again
    page.show(ops.port, "overview")
    assert ops.json("/capa.json")["version"] in page.text()


def test_the_tail_of_a_log_follows_and_a_click_switches_a_flag(ops: Ops, page: Page) -> None:
    page.show(ops.port, "logs")
    ops.text("/web/say?a+new+line")
    page.until(lambda: "a new line" in page.text("#tail"))
    button = "[data-stream=demo][data-flag=enabled]"
    assert page.text(button) == "off"
    page.js("document.querySelector(arguments[0]).click()", button)
    page.until(lambda: page.text(button) == "on")
    assert next(each for each in ops.json("/ops/logs.json") if each["name"] == "demo")["enabled"] is True


def test_a_profile_becomes_a_flame_graph(ops: Ops, page: Page) -> None:
    page.show(ops.port, "profile")
    page.js("document.getElementById('take-Lua').click()")
    with ops.spinning():
        page.until(lambda: "samples of 10 ms" in page.text("#profiled"))
    assert "web.lua:spin" in page.text("#flame")


def test_markup_in_lines_uris_and_names_stays_text(ops: Ops, page: Page) -> None:
    from urllib.parse import quote_plus

    ops.text("/web/say?" + quote_plus(MARKUP))
    with pytest.raises(Exception, match="404"):
        ops.text("/nothing" + quote_plus(MARKUP))
    for panel, where in (("logs", "#tail"), ("lua", "#panel"), ("routes", "#panel"), ("timers", "#panel")):
        page.show(ops.port, panel)
        if panel in ("logs", "lua"):
            page.until(lambda where=where: MARKUP in page.text(where))
        assert page.js("return document.querySelectorAll('main img, main script').length") == 0


def test_the_page_outlives_a_restart_of_the_server(page: Page, tmp_path: Path) -> None:
    first = Ops(tmp_path).start()
    page.show(first.port, "overview")
    first.kill()
    page.until(lambda: "does not answer" in page.text("#state"))
    again = Ops(tmp_path, port=first.port).start()
    try:
        page.until(lambda: page.text("#state").startswith("as of "))
        assert page.text("[data-figure=requests]").endswith("requests")
    finally:
        again.kill()


def test_on_a_phone_nothing_is_wider_than_the_screen(ops: Ops, page: Page) -> None:
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        for panel in PANELS:
            page.show(ops.port, panel)
            assert page.js("return document.documentElement.scrollWidth") <= 360, panel
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_page_profile_and_console_obey_access_control_and_can_be_off(tmp_path: Path) -> None:
    paths = ["/ops/", "/ops/logs.json", "/mtev/profile?seconds=0.1", "/module/lua/profile?seconds=0.1", "/mtev/console"]
    denied = Ops(tmp_path, acl='<rule type="deny" url="^/(ops|mtev|module)/"/><rule type="allow"/>').start()
    try:
        assert [denied.status(each) for each in paths] == [403] * 5
    finally:
        denied.kill()
    off = Ops(tmp_path, ops="<page>off</page><profile>off</profile><console>off</console>").start()
    try:
        assert [off.status(each) for each in paths] == [404] * 5
    finally:
        off.kill()


def test_a_flag_is_not_switched_by_a_page_from_elsewhere(ops: Ops) -> None:
    request = b"POST /ops/logs.json?name=error&flag=enabled&on=0 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
    with socket.create_connection(("127.0.0.1", ops.port), 20) as client:
        client.sendall(request + b"Connection: close\r\n\r\n")
        assert re.match(rb"HTTP/1.1 403 ", client.recv(1 << 16))
    with urlopen(f"http://127.0.0.1:{ops.port}/ops/logs.json", timeout=20) as answer:
        assert next(each for each in json.load(answer) if each["name"] == "error")["enabled"] is True
