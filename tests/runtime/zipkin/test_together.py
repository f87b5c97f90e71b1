"""Requests of HTTP/2 that come together are served together but for those that are traced."""

from collections.abc import Iterator

import pytest
import traced
from h2client import Client

from runtime import eventer, zipkin
from runtime import http as server
from runtime.http import Request, Response
from runtime.http.protocol.batches import Answer, Batch

PARENT = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


class Service:
    """A handler of several requests at once; *most* of them."""

    def __init__(self) -> None:
        self.together: list[int] = []
        self.most = 100

    def many(self, batch: Batch, _budget: float) -> list[Answer | None]:
        count = min(len(batch.numbers), self.most)
        self.together.append(count)
        return [(200, b"", b"together")] * count

    def alone(self, request: Request, response: Response) -> None:
        response.write("traced" if request.span else "alone")
        response.flush_end()


@pytest.fixture
def service(loops: eventer.Pool) -> Service:
    return Service()


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with traced.serving() as port:
        server.mount("GET", "/", "^many$", service.alone, many=(service.many, 1))
        server.mount("POST", "/", "^many$", service.alone)
        with Client(port) as client:
            yield client


def ask(client: Client, heads: list[tuple[tuple[str, str], ...]]) -> list[bytes]:
    numbers = [client.begin("/many", *fields) for fields in heads]
    client.send()
    return [client.body(number) for number in numbers]


def test_only_those_that_are_traced_are_served_alone(client: Client, service: Service) -> None:
    heads: list[tuple[tuple[str, str], ...]] = [()] * 20
    heads[7] = (("x-b3-traceid", "1f"),)
    heads[12] = (("x-b3-sampled", "1"),)
    heads[13] = (("x-b3-traceid", "2f"), ("x-b3-parentspanid", "1f"))
    heads[15] = (("x-b3-traceid", "none"),)
    heads[19] = (("x-b3-traceid", "3f"),)
    with traced.tracing(new=0.0):
        assert ask(client, heads) == [b"traced" if at in (7, 12, 13, 19) else b"together" for at in range(20)]
        spans = traced.published(4)
    assert service.together == [7, 4, 5]
    assert [each.trace_id for each in spans if each.trace_id < 256] == [0x1F, 0x2F, 0x3F]
    assert {each.name for each in spans} == {"/(^many$)"}
    assert traced.notes(spans[0]) == [b"sr", b"sr_done", b"ss", b"ss_done"]


def test_trace_contexts_are_taken_once_somebody_can_tell_of_them(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.zipkin import _headers

    unsampled = (PARENT[0], PARENT[1][:-1] + "0")
    with traced.tracing(new=0.0):
        assert ask(client, [(PARENT,), ()]) == [b"together"] * 2
        monkeypatch.setattr(_headers._Settings, "wide", True)
        assert ask(client, [(PARENT,), (unsampled,), ()]) == [b"traced", b"together", b"together"]
        traced.published()


@pytest.mark.parametrize("most", [1, 100])
def test_as_many_are_traced_as_the_probability_says(client: Client, service: Service, most: int) -> None:
    service.most = most  # what is left for later is not drawn once more
    with traced.tracing(new=0.3):
        answers = [answer for _ in range(40) for answer in ask(client, [()] * 50)]
        count = answers.count(b"traced")
        assert {each.name for each in traced.published(count)} == {"/(^many$)"}
    assert set(answers) == {b"traced", b"together"}
    assert abs(count - 600) < 5 * (2000 * 0.3 * 0.7) ** 0.5


def test_probabilities_hold_as_soon_as_they_change(client: Client, service: Service) -> None:
    assert ask(client, [()] * 9) == [b"together"] * 9
    with traced.tracing(new=1.0):
        assert ask(client, [()] * 9) == [b"traced"] * 9
        zipkin.set_sampling(0.0, 0.0, 0.0)
        assert ask(client, [()] * 9) == [b"together"] * 9
    assert ask(client, [()] * 9) == [b"together"] * 9
    assert service.together == [9, 9, 9]


def test_what_is_not_of_the_usual_kind_is_drawn_as_ever(client: Client) -> None:
    with traced.tracing(new=1.0):
        number = client.ask("/many", method="POST", end=False)
        client.h2.send_data(number, b"body", end_stream=True)
        client.send()
        assert client.body(number) == b"traced"
        assert ask(client, [(("expect", "100-continue"),)]) == [b"traced"]
        traced.published(2)
