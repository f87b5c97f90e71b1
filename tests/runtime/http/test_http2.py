"""HTTP/2 by plain calls: what a client says, what the handler gets, what the client hears.  Hostile frames included."""

import gc
import gzip
import os
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes
from hearing import hear
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import echo
from taking import taken

from runtime.http import CHUNKED, CLOSE, GZIP, Limits, Request, Response
from runtime.http.protocol.conversation import Terms
from runtime.http.protocol.frames import PREFACE, Frames
from runtime.http.protocol.http2 import DRAINED, LINGER, MAX_STREAMS, Http2
from runtime.http.protocol.turns import Turns

Handler = Callable[[Request, Response], object]
Headers = list[tuple[str, str]]


def hello(request: Request, response: Response) -> None:
    response.header("X-Kind", "hello")
    response.write(b"hello " + request.uri)
    response.flush_end()


class Answer:
    """What a client has of one stream."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.informational: list[str] = []
        self.body = b""
        self.ended = False
        self.reset: ErrorCodes | int | None = None

    @property
    def status(self) -> int:
        return int(self.headers[":status"])


class Client:
    """A protocol, what it served, and the library's client talking to it."""

    def __init__(self, handler: Handler = hello, limits: Limits | None = None, admit: Any = None) -> None:
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.completed: list[Response] = []
        self.answers: dict[int, Answer] = {}
        self.frames: list[bytes] = []
        self.goodbye: ConnectionTerminated | None = None
        self.reads = True

        def serve(request: Request, response: Response) -> None:
            self.requests.append(request)
            self.responses.append(response)
            handler(request, response)

        self.http = Http2(
            serve,
            limits,
            Terms(admit=admit, on_complete=self.completed.append, on_output=lambda: self.exchange()),
        )
        configuration = H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False)
        self.h2 = H2Connection(configuration)
        self.h2.initiate_connection()
        self.exchange()

    def exchange(self) -> None:
        """Carry bytes both ways until nobody has more to say."""
        while True:
            said = self.h2.data_to_send()
            heard = self.heard()
            if not said and not heard:
                return
            if said:
                self.http.feed(said)
            if heard:
                self.hear(heard)

    def heard(self) -> bytes:
        """What the network takes of the output now."""
        return taken(self.http)

    def hear(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            answer = self.answers.setdefault(getattr(event, "stream_id", 0) or 0, Answer())
            if isinstance(event, ResponseReceived):
                answer.headers = dict(event.headers)  # type: ignore[arg-type]  # decoded, as configured
            elif isinstance(event, InformationalResponseReceived):
                answer.informational.append(dict(event.headers)[":status"])  # type: ignore[index]
            elif isinstance(event, DataReceived):
                answer.body += event.data
                if self.reads:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                answer.ended = True
            elif isinstance(event, StreamReset):
                answer.reset = event.error_code
            elif isinstance(event, ConnectionTerminated):
                self.goodbye = event

    def ask(self, path: str = "/", *headers: tuple[str, str], method: str = "GET", end: bool = True) -> int:
        """Begin a request; it is on its way with the next exchange."""
        number = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)]
        self.h2.send_headers(number, [*pseudo, *headers], end_stream=end)
        return number

    def get(self, path: str = "/", *headers: tuple[str, str], method: str = "GET") -> Answer:
        number = self.ask(path, *headers, method=method)
        self.exchange()
        return self.answers[number]

    def post(self, body: bytes, *headers: tuple[str, str]) -> Answer:
        number = self.ask("/", *headers, method="POST", end=False)
        self.upload(number, body)
        return self.answers[number]

    def upload(self, number: int, body: bytes) -> None:
        sent = 0
        self.exchange()
        while sent < len(body) and not self.answers.get(number, Answer()).ended:
            size = min(self.h2.local_flow_control_window(number), 16384, len(body) - sent)
            assert size, "the window stays closed"
            self.h2.send_data(number, body[sent : sent + size])
            sent += size
            self.exchange()
        if not self.answers.get(number, Answer()).ended:
            self.h2.end_stream(number)
        self.exchange()

    def raw(self, *frames: bytes) -> int | None:
        """Send *frames* past the library; returns the code of the GOAWAY that ended the connection, if any did."""
        self.exchange()
        self.http.feed(b"".join(frames))
        return goaway_code(self.heard())


def frame(kind: int, payload: bytes = b"", stream: int = 0, flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def goaway_code(data: bytes) -> int | None:
    """The code of the first GOAWAY among the frames of *data*."""
    while data:
        size = 9 + int.from_bytes(data[:3], "big")
        if data[3] == 7:
            return int.from_bytes(data[13:17], "big")
        data = data[size:]
    return None


SETTINGS = frame(4)
# :method GET, :scheme http, :path /, :authority a, all but the last from the static table
GET = bytes([0x82, 0x86, 0x84, 0x41, 0x01]) + b"a"
POST = bytes([0x83]) + GET[1:]
ENDS = 0x1 | 0x4
CALM, PROTOCOL, INTERNAL, SIZE, FLOW, COMPRESSION = 0xB, 0x1, 0x2, 0x6, 0x3, 0x9


def test_a_request_is_answered_with_date_and_length() -> None:
    client = Client()
    answer = client.get("/x?y")
    assert (answer.status, answer.body, answer.ended) == (200, b"hello /x?y", True)
    assert answer.headers["content-length"] == "10"
    assert answer.headers["date"].endswith("GMT")
    assert answer.headers["x-kind"] == "hello"
    request = client.requests[0]
    assert (request.method, request.path, request.query, request.protocol) == (b"GET", b"/x", b"y", b"HTTP/2")
    assert request.header("Host") == b"a"
    assert client.completed == client.responses
    assert client.completed[0].written > 10


def test_cookies_come_as_one_and_set_cookie_goes_as_several() -> None:
    def bakes(_request: Request, response: Response) -> None:
        response.header("Set-Cookie", "a=1")
        response.header("Set-Cookie", "b=2")
        response.flush_end()

    client = Client(bakes)
    number = client.ask("/", ("cookie", "x=1"), ("cookie", "y=2"))
    client.h2.config.header_encoding = None
    seen: list[Any] = []
    client.http.feed(client.h2.data_to_send())
    for event in client.h2.receive_data(client.heard()):
        if isinstance(event, ResponseReceived) and event.stream_id == number:
            seen = [value for name, value in event.headers if name == b"set-cookie"]
    assert seen == [b"a=1", b"b=2"]
    assert client.requests[0].header("cookie") == b"x=1; y=2"


@pytest.mark.parametrize(("method", "code"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_answers_without_body_end_with_their_head(method: str, code: int) -> None:
    def silent(request: Request, response: Response) -> None:
        response.status(code)
        hello(request, response)

    answer = Client(silent).get(method=method)
    assert (answer.status, answer.body, answer.ended) == (code, b"", True)
    assert ("content-length" in answer.headers) == (code == 200)


def test_a_flushed_answer_has_no_length_and_no_chunks() -> None:
    def flushes(_request: Request, response: Response) -> None:
        response.option(CHUNKED)
        response.write("a")
        response.flush()
        response.write("b")
        response.flush_end()

    answer = Client(flushes).get()
    assert (answer.body, answer.ended) == (b"ab", True)
    assert not {"content-length", "transfer-encoding", "connection"} & answer.headers.keys()


def test_answers_are_compressed_for_those_who_accept_it() -> None:
    def squeezed(_request: Request, response: Response) -> None:
        response.option(GZIP)
        response.write(b"x" * 10000)
        response.flush_end()

    client = Client(squeezed)
    answer = client.get("/", ("accept-encoding", "gzip"))
    assert gzip.decompress(answer.body) == b"x" * 10000
    assert answer.headers["content-encoding"] == "gzip"
    assert len(client.get().body) == 10000


def test_uploads_larger_than_every_window_arrive_and_return() -> None:
    body = os.urandom(3_000_000)
    client = Client(echo)
    answer = client.post(body, ("content-length", str(len(body))))
    assert answer.status == 200
    assert answer.body == body


@pytest.mark.parametrize("ends", ["answered", "reset", "vanished"])
def test_nothing_of_a_request_stays_when_it_is_over(ends: str) -> None:
    def serve(request: Request, response: Response) -> None:
        if ends == "answered":
            echo(request, response)

    def requests() -> int:
        return sum(isinstance(each, Request | Response) for each in gc.get_objects())

    gc.collect()
    gc.disable()  # what is held in a circle would be found, some time
    try:
        before = requests()
        http = Http2(serve)
        http.feed(PREFACE + SETTINGS + frame(1, POST, 1, 0x4) + frame(0, b"x" * 1000, 1, 0x1))
        if ends == "reset":
            http.feed(frame(3, struct.pack("!I", 8), 1))
        elif ends == "vanished":
            http.disconnected()
        http.output.clear()
        assert requests() == before
    finally:
        gc.enable()


def test_trailers_are_kept() -> None:
    client = Client(echo)
    number = client.ask(method="POST", end=False)
    client.h2.send_data(number, b"abc")
    client.h2.send_headers(number, [("x-sum", "6")], end_stream=True)
    client.exchange()
    assert client.answers[number].body == b"abc"
    assert client.requests[0].trailers == [(b"x-sum", b"6")]


def test_a_client_that_expects_100_gets_it_before_its_body() -> None:
    client = Client(echo)
    number = client.ask("/", ("expect", "100-continue"), method="POST", end=False)
    client.exchange()
    assert client.answers[number].informational == ["100"]
    client.upload(number, b"abc")
    assert client.answers[number].body == b"abc"
    assert client.get("/", ("expect", "miracles")).status == 417


def test_many_streams_are_under_way_at_once_and_end_in_any_order() -> None:
    client = Client(lambda request, response: None)
    numbers = [client.ask(f"/{index}") for index in range(MAX_STREAMS)]
    client.exchange()
    assert len(client.requests) == MAX_STREAMS
    for request, response in reversed(list(zip(client.requests, client.responses, strict=True))):
        hello(request, response)
    client.exchange()
    assert [client.answers[number].body for number in numbers] == [b"hello /%d" % n for n in range(MAX_STREAMS)]


def test_streams_beyond_the_hundred_are_refused_and_may_be_asked_again() -> None:
    client = Client(lambda request, response: None)
    client.h2.remote_settings[3] = 1000
    client.h2.remote_settings.acknowledge()
    numbers = [client.ask() for _ in range(MAX_STREAMS + 3)]
    client.exchange()
    assert [client.answers[number].reset for number in numbers[-3:]] == [ErrorCodes.REFUSED_STREAM] * 3
    assert len(client.requests) == MAX_STREAMS
    hello(client.requests[0], client.responses[0])
    number = client.ask()
    client.exchange()
    assert len(client.requests) == MAX_STREAMS + 1
    assert client.answers.get(number) is None


def test_large_answers_share_the_connection_frame_by_frame() -> None:
    def large(_request: Request, response: Response) -> None:
        response.write(bytes(200_000))
        response.flush_end()

    client = Client(large)
    client.reads = False
    numbers = [client.ask(), client.ask()]
    client.exchange()
    for number in numbers:
        client.h2.increment_flow_control_window(100_000, number)
    client.exchange()
    client.h2.increment_flow_control_window(100_000)
    client.http.feed(client.h2.data_to_send())
    order = [event.stream_id for event in client.h2.receive_data(client.heard()) if isinstance(event, DataReceived)]
    assert order[:4] in (numbers * 2, numbers[::-1] * 2)


def test_a_handler_waits_for_the_window_and_goes_on_when_it_opens() -> None:
    lags: list[int] = []

    def endless(_request: Request, response: Response) -> None:
        def more() -> None:
            while not response.complete:
                response.write(bytes(30_000))
                if len(lags) == 5:
                    response.flush_end()
                elif not response.flush():
                    lags.append(response.written)
                    response.on_drain(more)
                    return

        more()

    client = Client(endless)
    client.reads = False
    number = client.ask()
    client.exchange()
    assert len(lags) == 1
    assert lags[0] < 250_000
    assert client.http.active is None  # it is the client's turn
    client.reads = True
    while not client.answers[number].ended:
        client.h2.increment_flow_control_window(65535)
        client.h2.increment_flow_control_window(65535, number)
        client.exchange()
    assert len(lags) == 5
    assert len(client.answers[number].body) > lags[-1] - 1000


def test_one_stalled_stream_does_not_hold_up_others() -> None:
    def large(request: Request, response: Response) -> None:
        response.write(bytes(200_000) if request.path == b"/large" else b"small")
        response.flush_end()

    client = Client(large)
    client.h2.increment_flow_control_window(1_000_000)
    client.reads = False
    number = client.ask("/large")
    client.exchange()
    assert len(client.answers[number].body) == 65535
    assert client.get("/small").body == b"small"
    assert not client.answers[number].ended


def test_windows_may_shrink_below_nothing_and_grow_again() -> None:
    def large(_request: Request, response: Response) -> None:
        response.write(bytes(100_000))
        response.flush_end()

    client = Client(large)
    client.reads = False
    number = client.ask()
    client.exchange()
    client.h2.update_settings({4: 1000})
    client.exchange()
    client.h2.increment_flow_control_window(200_000)
    client.h2.update_settings({4: 200_000})
    client.exchange()
    assert len(client.answers[number].body) == 100_000
    assert client.answers[number].ended


def test_files_are_read_as_the_window_opens(tmp_path: Path) -> None:
    content = os.urandom(1_000_000)
    (tmp_path / "file").write_bytes(content)

    def file(_request: Request, response: Response) -> None:
        with (tmp_path / "file").open("rb") as source:
            response.write_fd(source.fileno())
        response.flush_end()

    client = Client(file)
    client.reads = False
    number = client.ask()
    client.exchange()
    assert client.responses[0].written < 300_000
    assert len(client.answers[number].body) == 65535
    client.reads = True
    client.h2.increment_flow_control_window(2_000_000)
    client.h2.increment_flow_control_window(2_000_000, number)
    client.exchange()
    assert client.answers[number].body == content


def test_a_file_that_shrinks_is_a_reset_stream_and_not_a_short_answer(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(500_000))

    def file(_request: Request, response: Response) -> None:
        with path.open("rb") as source:
            response.write_fd(source.fileno())
        response.flush_end()

    client = Client(file)
    client.reads = False
    number = client.ask()
    client.exchange()
    os.truncate(path, 1000)
    client.h2.increment_flow_control_window(2_000_000)
    client.h2.increment_flow_control_window(2_000_000, number)
    client.exchange()
    assert client.answers[number].reset == ErrorCodes.INTERNAL_ERROR
    assert client.get("/nothing", method="HEAD").status == 200


def test_a_handler_that_fails_is_a_500_and_one_that_fails_midway_a_reset() -> None:
    def fails(request: Request, response: Response) -> None:
        if request.path == b"/midway":
            response.write("a")
            response.flush()
        raise RuntimeError("on purpose")

    client = Client(fails)
    assert client.get().status == 500
    assert client.get("/midway").reset == ErrorCodes.INTERNAL_ERROR
    assert client.goodbye is None


def test_a_client_that_cancels_is_told_to_the_response() -> None:
    gone: list[int] = []

    def waits(_request: Request, response: Response) -> None:
        response.on_close = lambda: gone.append(1)

    client = Client(waits)
    number = client.ask()
    client.exchange()
    client.h2.reset_stream(number, ErrorCodes.CANCEL)
    client.exchange()
    assert gone == [1]
    assert client.responses[0].complete
    client.responses[0].write("late")
    client.responses[0].flush_end()
    assert client.http.active is None
    assert client.completed == []


def test_one_that_fails_to_hear_of_it_keeps_nobody_else_from_that() -> None:
    told = hear("error/rest")
    gone: list[bool] = []

    def waits(request: Request, response: Response) -> None:
        response.on_close = lambda: gone.append(response.abandoned) or 1 / 0
        response.watch(lambda gone: 1 / 0)
        response.watch(gone.append)

    client = Client(waits)
    for _ in range(3):
        client.ask()
    client.exchange()
    client.http.disconnected()
    assert gone == [True] * 6
    assert sum("ZeroDivisionError" in each for each in told()) == 6


def test_a_client_that_vanishes_is_told_to_every_response() -> None:
    gone: list[int] = []

    def waits(_request: Request, response: Response) -> None:
        response.on_close = lambda: gone.append(1)

    client = Client(waits)
    for _ in range(3):
        client.ask()
    client.exchange()
    client.http.disconnected()
    assert gone == [1, 1, 1]


def test_a_connection_that_is_closed_while_it_is_read_serves_no_more() -> None:
    served: list[Request] = []

    def closes(request: Request, response: Response) -> None:
        served.append(request)
        hello(request, response)
        http.disconnected()

    http = Http2(closes)
    http.feed(PREFACE + SETTINGS + b"".join(frame(1, GET, number, ENDS) for number in (1, 3, 5)))
    assert len(served) == 1
    assert http.output == []


def test_a_failure_in_the_protocol_ends_its_connection_and_not_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    http = Http2(lambda *each: served.append(each))
    http.feed(PREFACE + SETTINGS + frame(1, GET, 1, ENDS))
    monkeypatch.setattr(Turns, "_turn", None)
    hello(*served[0])
    assert goaway_code(b"".join(http.output)) == INTERNAL
    assert http.closing


def test_finishing_says_goodbye_and_lets_what_was_begun_end() -> None:
    client = Client(lambda request, response: None)
    number = client.ask()
    client.exchange()
    client.http.finish()
    data = client.heard()
    assert goaway_code(data) == 0
    assert not client.http.closing
    hello(client.requests[0], client.responses[0])
    assert client.http.closing
    assert number == 1


def test_requests_after_the_goodbye_are_refused() -> None:
    client = Client(lambda request, response: None)
    client.ask()
    client.exchange()
    client.http.finish()
    client.heard()
    client.http.feed(frame(1, GET, 3, ENDS))
    assert len(client.requests) == 1
    assert b"\x00\x00\x04\x03\x00\x00\x00\x00\x03\x00\x00\x00\x07" in client.heard()


def test_the_close_option_is_a_goodbye_with_the_answer() -> None:
    def closes(request: Request, response: Response) -> None:
        response.option(CLOSE)
        hello(request, response)

    client = Client(closes)
    answer = client.get("/x")
    assert answer.body == b"hello /x"
    assert client.goodbye is not None
    assert client.http.closing


@pytest.mark.parametrize("budget", [0.0, 1.0])
def test_what_had_come_before_the_goodbye_is_answered(budget: float) -> None:
    def closes(request: Request, response: Response) -> None:
        response.option(CLOSE)
        hello(request, response)

    http = Http2(closes, terms=Terms(budget=budget))
    http.feed(PREFACE + SETTINGS + b"".join(frame(1, GET, number, ENDS) for number in (1, 3, 5)))
    while http.unfinished:
        http.advance()
    assert b"".join(http.output).count(b"hello /") == 3
    assert http.closing


def test_a_client_that_says_goodbye_still_gets_its_answers() -> None:
    served: list[Any] = []
    http = Http2(lambda *each: served.append(each))
    http.feed(PREFACE + SETTINGS + frame(1, GET, 1, ENDS) + frame(7, bytes(8)))
    assert not http.closing
    hello(*served[0])
    assert b"hello /" in b"".join(http.output)
    assert http.closing


# Limits


def test_requests_above_a_limit_have_their_status_and_the_connection_lives() -> None:
    client = Client(limits=Limits(max_header=1000, max_uri=100, max_upload=1000))
    assert client.get("/" + "x" * 100).status == 414
    assert client.get("/", ("x", "y" * 1000)).status == 431
    assert client.post(bytes(2000), ("content-length", "2000")).status == 413
    assert client.post(bytes(2000)).status == 413
    assert client.get().status == 200
    assert client.goodbye is None
    assert len(client.requests) == 1


def test_what_is_refused_before_its_body_may_still_send_it() -> None:
    client = Client(admit=lambda request: 403)
    number = client.ask(method="POST", end=False)
    client.exchange()
    answer = client.answers[number]
    assert (answer.status, answer.ended, answer.reset) == (403, True, None)
    assert client.http.phase == "idle"
    client.h2.send_data(number, b"abc", end_stream=True)
    client.exchange()
    assert answer.reset is None
    assert client.get().status == 200


def test_a_body_that_nobody_wants_is_not_taken_for_ever() -> None:
    client = Client(admit=lambda request: 403)
    number = client.ask(method="POST", end=False)
    client.exchange()
    sent = 0
    while client.answers[number].reset is None:
        client.h2.send_data(number, bytes(16384))
        sent += 16384
        client.exchange()
    assert client.answers[number].reset == ErrorCodes.NO_ERROR
    assert DRAINED < sent < DRAINED + 65536
    assert client.get().status == 200


def test_a_client_that_does_not_end_what_nobody_wants_is_not_waited_for() -> None:
    client = Client(admit=lambda request: 403)
    number = client.ask(method="POST", end=False)
    client.exchange()
    client.http.expire(100.0)
    client.http.expire(100.0 + LINGER / 2)
    client.exchange()
    assert client.answers[number].reset is None
    client.http.expire(100.0 + LINGER)
    client.exchange()
    assert client.answers[number].reset == ErrorCodes.NO_ERROR
    client.http.expire(200.0)
    assert client.get().status == 200


def test_streams_whose_client_does_not_open_the_window_end_however_often_it_pings() -> None:
    gone: list[bytes] = []

    def large(request: Request, response: Response) -> None:
        response.on_close = lambda: gone.append(request.path)
        response.write(bytes(1000))
        response.flush()

    client = Client(
        lambda request, response: large(request, response) if request.path != b"/ok" else hello(request, response)
    )
    client.reads = False
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    client.exchange()
    numbers = [client.ask("/1"), client.ask("/2")]
    client.exchange()
    for second in range(0, 60, 5):
        client.h2.ping(b"01234567")
        client.exchange()
        client.http.expire(1000.0 + second)
    assert gone == []
    client.h2.increment_flow_control_window(10, numbers[0])
    client.exchange()
    client.http.expire(1060.0)
    assert gone == [b"/2"]
    client.exchange()
    assert client.answers[numbers[1]].reset == ErrorCodes.CANCEL
    assert client.answers[numbers[0]].body == bytes(10)
    client.http.expire(1120.0)
    assert gone == [b"/2", b"/1"]
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100})
    client.exchange()
    assert client.get("/ok").status == 200


def test_files_are_not_read_before_the_window_opens(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100_000))

    def file(_request: Request, response: Response) -> None:
        with (tmp_path / "file").open("rb") as source:
            response.write_fd(source.fileno())
        response.flush_end()

    client = Client(file)
    client.reads = False
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    client.exchange()
    number = client.ask()
    client.exchange()
    assert client.answers[number].status == 200
    assert client.http.streams[number].waiting == 0
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65535})
    client.exchange()
    assert len(client.answers[number].body) == 65535


def test_what_was_read_is_worked_off_a_budget_at_a_time() -> None:
    served: list[bytes] = []
    http = Http2(
        lambda request, response: (served.append(request.uri), hello(request, response)), terms=Terms(budget=0.0)
    )
    http.feed(PREFACE + SETTINGS + b"".join(frame(1, GET, number, ENDS) for number in (1, 3, 5)))
    assert len(served) == 1
    assert http.unfinished
    assert http.paused  # no more is read meanwhile
    http.advance()
    assert len(served) == 2
    http.advance()
    assert (len(served), http.unfinished) == (3, False)
    assert b"".join(http.output).count(b"hello /") == 3


def test_requests_that_are_taken_back_at_once_are_not_served() -> None:
    served: list[bytes] = []
    http = Http2(lambda request, response: (served.append(request.uri), hello(request, response)))
    cancelled = b"".join(frame(1, GET, n, ENDS) + frame(3, struct.pack("!I", 8), n) for n in range(1, 100, 2))
    http.feed(PREFACE + SETTINGS + cancelled + frame(1, GET, 101, ENDS))
    assert len(served) == 1


def test_bodies_that_add_up_to_too_much_are_refused_stream_by_stream() -> None:
    client = Client(echo, Limits(max_upload=6 << 20))
    numbers = [client.ask(method="POST", end=False) for _ in range(5)]
    client.exchange()
    for number in numbers:
        for _ in range(6 << 6):
            if client.answers.get(number, Answer()).reset is None:
                client.h2.send_data(number, bytes(16384))
                client.exchange()
    assert [client.answers.get(number, Answer()).reset for number in numbers] == [None] * 4 + [7]
    for number in numbers[:4]:
        client.h2.reset_stream(number)
    client.exchange()
    assert client.post(b"again").body == b"again"


def test_what_bodies_are_decoded_to_adds_up_as_well() -> None:
    client = Client(lambda request, response: None, Limits(max_upload=6 << 20))
    body = gzip.compress(bytes(5 << 20))

    def upload() -> int:
        number = client.ask("/", ("content-encoding", "gzip"), method="POST", end=False)
        client.upload(number, body)
        return number

    numbers = [upload() for _ in range(5)]
    assert [len(each.payload) for each in client.requests] == [5 << 20] * 4
    assert client.answers[numbers[4]].status == 503
    for response in client.responses:
        response.flush_end()
    client.exchange()
    assert [client.answers[each].status for each in numbers] == [200] * 4 + [503]
    upload()
    assert len(client.requests) == 5


@pytest.mark.parametrize(("length", "body"), [("3", b"ab"), ("3", b"abcd"), ("0", b"a"), ("1", b"")])
def test_a_body_of_another_length_than_announced_is_never_served(length: str, body: bytes) -> None:
    client = Client()
    client.exchange()
    headers = POST + b"\x0f\x0d" + bytes([len(length)]) + length.encode()
    code = client.raw(frame(1, headers, 1, 0x4), frame(0, body, 1, 0x1))
    assert client.requests == []
    assert code is None
    assert client.http.streams == {}


@pytest.mark.parametrize("length", ["-1", "+1", "1_0", "x", "1" * 30, ""])
def test_a_length_that_is_no_number_is_never_served(length: str) -> None:
    client = Client()
    client.raw(frame(1, POST + b"\x0f\x0d" + bytes([len(length)]) + length.encode(), 1, 0x4), frame(0, b"a", 1, 1))
    assert client.requests == []


def test_a_length_on_a_request_that_ends_with_its_head_or_trailers_counts_too() -> None:
    client = Client()
    announced = POST + b"\x0f\x0d\x015"
    assert client.raw(frame(1, announced, 1, ENDS)) is None
    trailer = b"\x00\x01x\x01y"
    assert client.raw(frame(1, announced, 3, 0x4), frame(0, b"abc", 3), frame(1, trailer, 3, ENDS)) is None
    assert client.requests == []


@pytest.mark.parametrize(
    ("method", "path"), [("GE T", "/"), ("", "/"), ("GET", "x"), ("GET", "/a b"), ("GET", "/\x01"), ("GET", "*")]
)
def test_methods_and_paths_that_cannot_be_are_never_served(method: str, path: str) -> None:
    client = Client()
    literal = b"\x02" + bytes([len(method)]) + method.encode() + b"\x86\x04" + bytes([len(path)]) + path.encode()
    client.raw(frame(1, literal + GET[3:], 1, ENDS))
    assert client.requests == []


def test_options_of_everything_and_connect_are_requests() -> None:
    client = Client(lambda request, response: response.error(405))
    assert client.get("*", method="OPTIONS").status == 405
    number = client.h2.get_next_available_stream_id()
    client.h2.send_headers(number, [(":method", "CONNECT"), (":authority", "a:1")], end_stream=True)
    client.exchange()
    assert client.answers[number].status == 405
    assert client.requests[1].uri == b"a:1"


# Hostile frames

CONVERSATION = (
    PREFACE
    + SETTINGS
    + frame(1, GET, 1, ENDS)
    + frame(1, POST[:3], 3)
    + frame(9, POST[3:5], 3)
    + frame(9, POST[5:], 3, 0x4)
    + frame(0, b"abc", 3)
    + frame(0, b"\x02def\0\0", 3, 0x8)
    + frame(6, b"12345678")
    + frame(0xBE, b"unknown")
    + frame(1, b"\x02" + GET + b"\0\0", 5, ENDS | 0x8)
    + frame(0, b"", 3, 0x1)
)


class Listener:
    """A protocol without a client."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.seen: list[tuple[bytes, bytes]] = []

        def serve(request: Request, response: Response) -> None:
            self.seen.append((request.method, request.payload))
            hello(request, response)

        self.http = Http2(serve, limits)

    def told(self, *pieces: bytes) -> bytes:
        for piece in pieces:
            self.http.feed(piece)
        return b"".join(self.http.output)


def check(listener: Listener) -> None:
    assert listener.seen == [(b"GET", b""), (b"GET", b""), (b"POST", b"abcdef")]
    assert not listener.http.closing
    assert (listener.http.phase, listener.http.active) == ("idle", None)


@pytest.mark.parametrize("cut", range(len(CONVERSATION) + 1))
def test_frames_torn_anywhere_are_the_same_frames(cut: int) -> None:
    listener = Listener()
    listener.told(CONVERSATION[:cut], CONVERSATION[cut:])
    check(listener)


@settings(max_examples=50)
@given(st.lists(st.integers(0, len(CONVERSATION)), max_size=20))
def test_frames_torn_in_many_places_are_the_same_frames(cuts: list[int]) -> None:
    listener = Listener()
    edges = [0, *sorted(cuts), len(CONVERSATION)]
    for start, end in pairwise(edges):
        listener.told(CONVERSATION[start:end])
    check(listener)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 11), st.binary(max_size=40), st.integers(0, 7), st.integers(0, 255))))
def test_no_frames_do_more_harm_than_end_their_connection(frames: list[tuple[int, bytes, int, int]]) -> None:
    listener = Listener()
    listener.told(PREFACE + SETTINGS)
    for kind, payload, stream, flags in frames:
        listener.told(frame(kind, payload, stream, flags))
    output = b"".join(listener.http.output)
    assert len(output) < 100_000
    assert goaway_code(output) != INTERNAL


@settings(max_examples=300)
@given(st.data())
def test_a_conversation_with_a_byte_changed_does_no_more_harm(data: st.DataObject) -> None:
    noise = bytearray(CONVERSATION)
    for _ in range(data.draw(st.integers(1, 4))):
        noise[data.draw(st.integers(0, len(noise) - 1))] = data.draw(st.integers(0, 255))
    assert goaway_code(Listener().told(bytes(noise))) != INTERNAL


@pytest.mark.parametrize(
    ("code", "frames"),
    [
        (PROTOCOL, [frame(1, POST, 1, 4), frame(0, b"\x04abc", 1, 0x8)]),  # padding longer than the frame
        (PROTOCOL, [frame(1, b"\xff" + GET, 1, ENDS | 0x8)]),
        (PROTOCOL, [frame(0, b"x", 0)]),
        (PROTOCOL, [frame(0, b"x", 1)]),  # a stream that was never opened
        (PROTOCOL, [frame(1, GET, 2, ENDS)]),  # the server's to open
        (PROTOCOL, [frame(1, GET, 0, ENDS)]),
        (PROTOCOL, [frame(1, GET, 5, ENDS), frame(1, GET, 3, ENDS)]),
        (PROTOCOL, [frame(1, GET[:2], 1), frame(6, bytes(8))]),  # between the parts of a head
        (PROTOCOL, [frame(1, GET[:2], 1), frame(9, GET[2:], 3, 0x4)]),
        (PROTOCOL, [frame(9, GET, 1, 0x4)]),
        (PROTOCOL, [frame(5, bytes(4) + GET, 1, 0x4)]),  # a client cannot push
        (SIZE, [frame(6, b"short")]),
        (SIZE, [frame(8, b"123", 0)]),
        (SIZE, [frame(4, b"12345")]),
        (SIZE, [b"\x00\x40\x01\x00\x00\x00\x00\x00\x01"]),  # too large, known before its bytes come
        (SIZE, [b"\xff\xff\xff\x04\x00\x00\x00\x00\x00"]),
        (FLOW, [frame(8, b"\x7f\xff\xff\xff")]),
        (FLOW, [frame(4, struct.pack("!HI", 4, 1 << 31))]),
        (PROTOCOL, [frame(4, struct.pack("!HI", 5, 1))]),
        (COMPRESSION, [frame(1, b"\x80", 1, ENDS)]),  # no such entry of the table
        (PROTOCOL, [frame(3, bytes(4), 1)]),  # a reset of what never was
    ],
)
def test_what_no_client_may_say_ends_the_connection(code: int, frames: list[bytes]) -> None:
    listener = Listener()
    listener.told(PREFACE + SETTINGS)
    assert goaway_code(listener.told(*frames)) == code
    assert listener.http.closing
    assert listener.told(frame(1, GET, 9, ENDS)).count(b"hello") == len(listener.seen)


@pytest.mark.parametrize("opening", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", b"GET", PREFACE + frame(6, bytes(8))])
def test_a_connection_begins_with_preface_and_settings(opening: bytes) -> None:
    listener = Listener()
    assert goaway_code(listener.told(opening)) == PROTOCOL


def test_more_data_than_the_window_ends_the_connection() -> None:
    listener = Listener()
    listener.told(PREFACE + SETTINGS, frame(1, POST, 1, 4))
    assert goaway_code(listener.told(frame(0, bytes(16384), 1) * 17)) == FLOW


def test_a_window_of_a_stream_that_overflows_resets_the_stream() -> None:
    client = Client(lambda request, response: hello(request, response) if request.path == b"/ok" else None)
    number = client.ask()
    assert client.raw(frame(8, b"\x7f\xff\xff\xff", number)) is None
    assert client.responses[0].complete
    assert client.get("/ok").status == 200


@pytest.mark.parametrize(
    "flood",
    [
        frame(6, bytes(8)),
        frame(4),
        frame(2, bytes(5), 1),
        frame(0xAA, b""),
        frame(0, b"", 1),
        frame(0, b"\0", 1, 0x8),
        frame(8, b"\0\0\0\1", 0),
        frame(8, b"\0\0\0\1", 1),
    ],
)
def test_floods_of_frames_that_bring_nothing_are_asked_to_calm_down(flood: bytes) -> None:
    listener = Listener()
    listener.told(PREFACE + SETTINGS, frame(1, POST, 1, 4))
    assert goaway_code(listener.told(flood * 900)) is None
    assert goaway_code(listener.told(flood * 200)) == CALM
    assert listener.http.closing


def test_the_debug_log_tells_what_ended_streams_and_connections() -> None:
    heard = hear("debug/http2")
    listener = Listener()
    listener.told(PREFACE + SETTINGS, frame(1, GET[:1] + GET, 1, ENDS))
    listener.told(frame(1, POST + b"\x00\x04host\x01b", 3, ENDS), frame(6, b"short"))
    lines = "".join(heard())
    assert "stream 1 cannot be, PROTOCOL_ERROR" in lines
    assert "stream 3 is reset, PROTOCOL_ERROR" in lines
    assert "FRAME_SIZE_ERROR" in lines


def test_an_allowance_comes_back_with_time() -> None:
    listener = Listener()
    listener.told(PREFACE + SETTINGS)
    for second in range(10):
        listener.http.now = 1000.0 + second
        assert goaway_code(listener.told(frame(6, bytes(8)) * 400)) is None


def test_rapid_resets_are_asked_to_calm_down() -> None:
    served: list[Response] = []
    http = Http2(lambda request, response: served.append(response))
    http.feed(PREFACE + SETTINGS)
    for number in range(1, 2001, 2):
        http.feed(frame(1, GET, number, ENDS) + frame(3, struct.pack("!I", 8), number))
    assert goaway_code(b"".join(http.output)) == CALM
    assert len(served) < 210
    assert all(response.complete for response in served)


def test_resets_that_the_server_is_made_to_send_count_as_well() -> None:
    served: list[Response] = []
    http = Http2(lambda request, response: served.append(response))
    http.feed(PREFACE + SETTINGS)
    for number in range(1, 2001, 2):
        http.feed(frame(1, GET, number, ENDS) + frame(8, b"\x7f\xff\xff\xff", number))
    assert goaway_code(b"".join(http.output)) == CALM
    assert len(served) < 210


def test_heads_without_end_are_cut_off() -> None:
    listener = Listener()
    listener.told(PREFACE + SETTINGS, frame(1, GET, 1))
    assert goaway_code(listener.told(*[frame(9, b"", 1)] * 100)) == CALM
    listener = Listener()
    listener.told(PREFACE + SETTINGS, frame(1, GET, 1))
    assert goaway_code(listener.told(*[frame(9, b"\x00\x01x\x7e" + b"y" * 126, 1) * 100] * 10)) == CALM


def test_a_head_that_unpacks_to_far_more_than_it_is_ends_the_connection() -> None:
    listener = Listener()
    listener.told(PREFACE + SETTINGS)
    entry = b"\x40\x01x\x7f" + bytes([0xA1, 0x1E]) + b"y" * 4000  # an entry of 4,000 bytes for the table
    bomb = GET + entry + b"\xbe" * 12000
    assert goaway_code(listener.told(frame(1, bomb, 1, ENDS))) == CALM
    assert listener.seen == []


def test_a_client_that_does_not_read_is_not_read_either() -> None:
    listener = Listener()
    listener.told(PREFACE + SETTINGS)
    number = 1
    while not listener.http.paused:
        listener.http.feed(frame(1, GET, number, ENDS))
        number += 2
    assert listener.http.backlog < 300_000
    data = listener.told()
    listener.http.output.clear()
    listener.http.sent(len(data))
    assert not listener.http.paused


def test_what_is_awaited_is_known_for_the_clock() -> None:
    listener = Listener()
    http = listener.http
    assert http.phase == "head"
    listener.told(PREFACE + SETTINGS)
    assert http.phase == "idle"
    listener.told(frame(1, POST, 1, 4)[:5])
    assert http.phase == "head"
    torn = http.begun
    listener.told(frame(1, POST, 1, 4)[5:], frame(0, b"abc", 1)[:10])
    assert (http.phase, http.begun) == ("body", 1)
    assert torn == 1
    listener.told(frame(0, b"abc", 1)[10:], frame(0, b"", 1, 1))
    assert http.phase == "idle"


def test_frames_are_counted_with_their_heads_once() -> None:
    frames = Frames(1000)
    said = PREFACE + SETTINGS + frame(1, b"a", 1) + frame(9, b"b", 1, 4)
    assert list(frames.feed(said, 0.0)) == [said]
    assert frames.count == 2
