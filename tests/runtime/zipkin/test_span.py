"""Which spans are made, what they take, and how their ids are read."""

import pytest
import traced

from runtime import eventer, log, sampling, zipkin


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("463ac35c9f6413ad", 0x463AC35C9F6413AD),
        (" \t0xA2fb", 0xA2FB),
        ("463ac35c9f6413ad48485a3953bb6124", (1 << 64) - 1),
        ("xyz", None),
        ("12 ", None),
        ("12g", None),
        ("0x", None),
        ("", None),
        ("-1", None),
    ],
)
def test_ids_are_read_as_the_original_does(text: str, expected: int | None) -> None:
    assert zipkin.str_to_id(text) == expected
    assert zipkin.str_to_id(text.encode()) == expected


def test_ids_that_are_missing_follow_from_others() -> None:
    made = [zipkin.span_new(*ids, force=True) for ids in ((7, None, 9), (7, None, None), (7, 5, None), (None, 5, 9))]
    assert all(made)
    assert [each.get_ids() for each in made[:2] if each] == [(7, None, 9), (7, None, 7)]
    below, fresh = made[2], made[3]
    assert below is not None and below.id not in (7, 5) and below.parent_id == 5
    assert fresh is not None and fresh.id == fresh.trace_id and fresh.parent_id is None


@pytest.mark.parametrize(
    ("probabilities", "made"),
    [
        ((0, 1, 1), [False, True, True, True, True]),
        ((1, 0, 0), [True, False, True, True, False]),
        ((0, 0, 0), [False, False, True, False, False]),
        ((0, 0, 1), [False, False, True, True, True]),
    ],
)
def test_probabilities_decide(probabilities: tuple[float, float, float], made: list[bool]) -> None:
    try:
        zipkin.set_sampling(*probabilities)
        assert zipkin.get_sampling() == probabilities
        new, parented = zipkin.span_new(), zipkin.span_new(1, 2, 3)
        root = zipkin.span_new(1)
        debugged = zipkin.span_new(debug=True), zipkin.span_new(1, 2, 3, debug=True)
        assert [each is not None for each in (new, parented, root, *debugged)] == made
        assert zipkin.span_new(force=True) is not None
        with pytest.raises(ValueError, match="0 to 1"):
            zipkin.set_sampling(0, 1.5, 0)
    finally:
        sampling.change(0.0, 100.0, 100.0)


def test_a_span_that_is_over_takes_nothing_and_is_published_once() -> None:
    with traced.tracing():
        span = zipkin.span_new(force=True)
        assert span is not None
        span.ref()
        span.publish()
        assert span.annotate("still") is not None
        span.publish()
        span.publish()
        assert span.annotate("late") is None and span.bannotate_str("a", "b") is None
        assert traced.published() == [span]
        assert traced.spans.empty()
        assert traced.notes(span) == [b"still"]


def test_a_span_keeps_so_many_annotations() -> None:
    span = zipkin.span_new(force=True)
    assert span is not None
    for at in range(1100):
        span.annotate(f"{at}")
    assert len(span.annotations) == 1000


def test_acos_have_the_span_of_whoever_started_them(loops: eventer.Pool) -> None:
    with traced.tracing():
        span = zipkin.span_new(force=True, name="outer")
        assert span is not None

        def inner() -> None:
            eventer.aco_sleep(0)
            found = zipkin.active_span()
            assert found is span
            child = zipkin.attach_to_aco(found, new_child=True)
            eventer.aco_sleep(0)
            assert zipkin.active_span() is child
            child.publish()

        def outer() -> None:
            zipkin.activate(span)
            eventer.aco_start(inner)
            eventer.aco_sleep(0)
            assert zipkin.active_span() is span

        eventer.aco_start(outer, owner=loops.threads[1])
        (child,) = traced.published()
        assert (child.name, child.parent_id, child.trace_id) == ("outer aco", span.id, span.trace_id)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_events_carry_the_span_they_were_made_in(loops: eventer.Pool, level: int) -> None:
    with traced.tracing():
        zipkin.eventer_init()
        span = zipkin.span_new(force=True, name="outer")
        assert span is not None
        span.level = level
        seen = []

        def tick(_event: eventer.Event, _mask: int, _closure: object, _now: float) -> None:
            found = zipkin.active_span()
            seen.append(found)
            span.publish()

        eventer.name_callback("tick", tick)

        def start() -> None:
            with zipkin.within(span):
                eventer.add_in(tick, None, 0.0)
            assert zipkin.active_span() is None

        assert loops.threads[0].post(start)
        found = traced.published(1 if level == 0 else 2)
        assert found[0] is span
        if level == 0:
            assert seen == [span]
            return
        inner = found[1]
        assert seen == [inner]
        assert (inner.name, inner.parent_id) == ("tick", span.id)
        assert traced.notes(inner) == [b"internal_start", b"internal_done"]
        tags = {"span.kind": b"internal"}
        if level == 2:
            tags |= {"eventer.thread": loops.threads[0].name.encode(), "eventer.mask": 8, "eventer.return": 0}
        assert traced.tags(inner) == tags


def test_lines_are_annotations_where_that_is_asked_for() -> None:
    zipkin.eventer_init()
    stream = log.new_stream("traced", "memory", "100,10000")
    span = zipkin.span_new(force=True)
    assert span is not None
    stream.log("before\n")
    with zipkin.within(span):
        stream.log("not attached\n")
        span.attach_logs(True)
        assert span.logs_attached()
        stream.log("attached\n")
    stream.log("after\n")
    assert traced.notes(span) == [b"mtev_log attached\n"]


def test_client_spans_speak_of_themselves_in_headers() -> None:
    with traced.tracing():
        assert zipkin.client_new(None, "none") is None and zipkin.client_trace_hdr() is None
        span = zipkin.span_new(0x1234, 5, 6, "server")
        assert span is not None
        with zipkin.within(span):
            client = zipkin.client_new(None, "GET")
            assert client is not None and zipkin.client_span() is client
            assert zipkin.client_trace_hdr() == "X-B3-TraceId: 0x1234"
            assert zipkin.client_parent_hdr() == "X-B3-ParentSpanId: 0x6"
            assert zipkin.client_span_hdr() == f"X-B3-SpanId: {client.id:#x}"
            assert zipkin.client_sampled_hdr() == "X-B3-Sampled: 1"
            zipkin.client_publish()
            assert zipkin.client_span() is None
            zipkin.client_new(None, "dropped")
            zipkin.client_drop()
        assert traced.published() == [client]
        assert traced.notes(client) == [b"cs", b"cr"]
        assert traced.spans.empty()


def test_a_published_span_goes_to_hooks_encoded_too() -> None:
    found = []

    def take(trace_id: int, octets: bytes) -> int:
        found.append((trace_id, octets))
        return 0

    zipkin.PUBLISH.register("test", take)
    try:
        span = zipkin.span_new(77, force=True)
        assert span is not None
        span.publish()
        assert found == [(77, zipkin.encode(span))]
    finally:
        zipkin.PUBLISH.unregister("test")
