"""What is observed of requests, by ``requests.json``."""

import gc
import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import house, server
from waiting import until

from runtime import eventer
from runtime.http import Request, Response
from runtime.http.ledger.settle import REQUEST_COMPLETE
from runtime.http.message.response import STARTING
from runtime.http.rest.dispatch import AUTHENTICATE, REQUEST_READ
from runtime.modules import http_observer
from runtime.modules.http_observer import HttpObserver

RECORDED = json.loads((Path(__file__).parents[2] / "data" / "http_observer" / "requests.json").read_text())
CONFIG = {"max_count": "5", "max_age": "300", "header_in_user-agent": "agent", "header_in_x-test": "xt"}
CONFIG |= {"header_out_content-type": "ctype"}
held: list[Response] = []


@pytest.fixture
def port(loops: eventer.Pool) -> Iterator[int]:
    hold = ("GET", "^hold$", lambda _request, response: held.append(response))
    with house(("GET", "^hello$", hello), ("POST", "^hello$", hello), hold):
        yield server()
    for hook in (AUTHENTICATE, REQUEST_READ, STARTING, REQUEST_COMPLETE):
        hook.unregister("http_observer")
    held.clear()


def hello(request: Request, response: Response) -> None:
    http_observer.note(request, "noted", "by the handler")
    response.header("Content-Type", "text/plain")
    response.write("Hello world.\n")
    response.flush_end()


def started(**config: str) -> HttpObserver:
    made = HttpObserver()
    made.configure(CONFIG | config)
    made.init()
    return made


def ask(port: int, path: str, method: str = "GET", body: str | None = None, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def rows(port: int, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask(port, f"/module/http_observer/requests.json{query}")[1])
    return found


def ended(port: int, count: int) -> list[dict[str, Any]]:
    """The rows, once *count* requests have ended."""

    def found() -> list[dict[str, Any]]:
        return [each for each in rows(port, "?re_uri=^/hello") if "response_complete_offset_ns" in each]

    until(lambda: len(found()) >= count, found)
    return found()


def test_a_request_is_seen_while_it_lives_and_afterwards(port: int) -> None:
    started()
    ask(port, "/hello?i=4", "POST", "x" * 321, User_Agent="tester 1.0", X_Test="yes")
    (row,) = ended(port, 1)
    recorded = RECORDED["cases"][0]["body_json"][0]
    assert recorded.keys() <= row.keys()
    assert {key: type(value) for key, value in recorded.items()}.items() <= {
        key: type(value) for key, value in row.items()
    }.items()
    wanted = {
        "method": "POST",
        "uri": "/hello",
        "querystring": "i=4",
        "protocol": "HTTP/1.1",
        "status": "200",
        "agent": "tester 1.0",
        "xt": "yes",
        "ctype": "text/plain",
    }
    assert wanted.items() <= row.items()
    assert row["noted"] == "by the handler" and row["host"] == f"127.0.0.1:{port}"
    assert row["received_bytes"] == 321 and row["sent_bytes"] > 13 and row["remote_address"] == "127.0.0.1"
    steps = [
        row[f"{each}_offset_ns"] for each in ("read_start", "request_complete", "response_start", "response_complete")
    ]
    assert steps == sorted(steps) and abs(row["request_start_ms"] / 1000 - time.time()) < 60

    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        living = until(lambda: rows(port, "?eq_uri=/hold"))
        assert "status" not in living[0] and "response_start_offset_ns" not in living[0]
        held[0].resume(lambda: held[0].error(503))
        until(lambda: rows(port, "?eq_uri=/hold")[0].get("status") == "503")


def test_filters_as_recorded(port: int) -> None:
    started(max_count="50")
    ask(port, "/hello?i=4", User_Agent="tester 1.0")
    ended(port, 1)
    assert ask(port, "/module/http_observer/requests.json?eq_uri=/hello&eq_method=POST")[1] == "[]\n"
    for query, found in (
        ("?eq_uri=/hello", True),
        ("?eq_uri=%2fhello&eq_method=GET", True),
        ("?re_uri=^/h", True),
        ("?re_uri=%5B", True),  # an expression that is none
        ("?eq_nosuch=1", False),
        ("?re_agent=tester", True),
        ("?re_agent=^other", False),
        ("?eq_request_id=0", False),
        ("?foo=bar", True),
        ("?eq_method=", False),
        ("?eq_method", True),
    ):
        assert any(each["uri"] == "/hello" for each in rows(port, query)) == found, query
    for path, method in (("/module/http_observer/requests", "GET"), ("/module/http_observer/requests.json", "POST")):
        assert ask(port, path, method)[0] in (404, 405)


def test_so_many_are_kept_and_so_long(port: int) -> None:
    made = started()
    for number in range(12):
        ask(port, f"/hello?i={number}")
    until(lambda: [each.texts.get("querystring") for each in made._ended][-1:] == ["i=11"])
    assert [each["querystring"] for each in rows(port, "?eq_uri=/hello")] == [f"i={number}" for number in range(7, 12)]
    for each in made._ended:
        if each.texts.get("querystring") != "i=11":
            each.ended -= 301
    assert [each["querystring"] for each in rows(port, "?eq_uri=/hello")] == ["i=11"]


def test_a_request_whose_client_went_leaves_nothing(port: int) -> None:
    made = started()
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: held)
    response = held.pop()
    response.resume(response.flush_end)
    del response

    def is_gone() -> bool:
        gc.collect()
        return all(each.texts["uri"] != "/hold" for each in list(made._live.values()))

    until(is_gone)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"max_count": "many"}, "max_count"),
        ({"max_count": "0"}, "max_count"),
        ({"max_age": "-1"}, "max_age"),
        ({"header_in_User-Agent": "agent"}, "header_in_User-Agent"),
        ({"header_out_x": ""}, "header_out_x"),
    ],
)
def test_values_that_mean_nothing_are_named(config: dict[str, str], wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        HttpObserver().configure(config)


def test_defaults() -> None:
    made = HttpObserver()
    made.configure({})
    assert (made.max_count, made.max_age) == (10_000, 30)
