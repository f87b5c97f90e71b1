"""The engine in Lua decides which requests are traced as runtime.zipkin does, whatever their headers say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import luamtev
from luamtev.web.answers import request_of
from runtime import sampling, zipkin
from runtime.http import Request
from runtime.zipkin import _headers

HERE = Path(luamtev.__file__).parent / "lua" / "http1"
PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"

IDS = st.sampled_from(
    [b"1", b"0", b"0x5", b"0X5f", b"x5", b"g", b"0x", b"5 5", b"f" * 40, b"463ac35c9f6413ad", b" 1", b"-1", b""]
)
FLAGS = st.sampled_from([b"0", b"1", b"01", b"+1", b"-1", b"1.5", b"true", b"d", b"1,0", b"10", b"0x1", b"1" * 40, b""])
CONTEXTS = st.sampled_from(
    [
        PARENT + b"-01",
        PARENT + b"-00",
        PARENT + b"-03",
        PARENT + b"-fe",
        PARENT + b"-01-more",
        b"01" + PARENT[2:] + b"-01-more",
        b"01" + PARENT[2:] + b"-01more",
        b"ff" + PARENT[2:] + b"-01",
        PARENT.upper() + b"-01",
        b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-" + b"0" * 16 + b"-01",
        PARENT + b"-1",
        PARENT,
        PARENT[:-1] + b"-01",
        b"",
    ]
)
LINES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([b"X-B3-TraceId", b"x-b3-traceid", b"X-B3-ParentSpanId", b"X-B3-SpanId"]), IDS),
        st.tuples(st.sampled_from([b"X-B3-Sampled", b"x-b3-SAMPLED"]), FLAGS),
        st.tuples(st.sampled_from([b"traceparent", b"Traceparent"]), CONTEXTS),
        st.tuples(st.sampled_from([b"tracestate", b"b3", b"X-Other"]), st.just(b"1")),
    ),
    max_size=5,
)


@pytest.fixture(scope="module")
def lua() -> Iterator[Any]:
    from lupa.luajit21 import LuaRuntime

    runtime = LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    yield runtime.execute(
        f"""
        local ffi = require("ffi")
        local parser, new = dofile("{HERE}/parser.lua"), dofile("{HERE}/tracing.lua")
        local wanted
        return {{
          set = function(new_traces, parented, debug, context, seed)
            wanted = new({{ new = new_traces, parented = parented, debug = debug, context = context }}, seed)
          end,
          decide = function(text)
            local bytes = ffi.cast("const uint8_t *", text)
            local next_at, _, _, _, _, head = parser.parse(bytes, 0, #text)
            if not next_at then return nil end
            return wanted(head.trace)
          end,
          count = function(times)
            local n = 0
            for _ = 1, times do if wanted(false) then n = n + 1 end end
            return n
          end,
        }}""".encode()
    )


@given(LINES, st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0]), st.booleans())
def test_both_decide_alike(
    lua: Any, lines: list[tuple[bytes, bytes]], new: float, parented: float, debug: float, wide: bool
) -> None:
    head = b"".join(b"%s: %s\r\n" % line for line in lines)
    lua[b"set"](new, parented, debug, wide, 1)
    decided = lua[b"decide"](b"GET / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n")
    if decided is None:  # a head that is left to Python
        assert any(not value for _, value in lines)
        return
    was = _headers._Settings.wide
    try:
        _headers._Settings.wide = wide
        zipkin.set_sampling(new, parented, debug)
        request = request_of(Request(), b"host: a\r\n" + head)
        assert decided == (zipkin.span_of(request) is not None)
    finally:
        _headers._Settings.wide = was
        sampling.change(0.0, 100.0, 100.0)


@pytest.mark.parametrize("seed", [1, 7, 0x7FFFFFFF, 123456789])
def test_as_many_are_traced_as_the_probability_says(lua: Any, seed: int) -> None:
    for chance in (0.01, 0.3, 0.99):
        lua[b"set"](chance, 0.0, 0.0, False, seed)
        count = lua[b"count"](100_000) / 100_000
        assert abs(count - chance) < 5 * (chance * (1 - chance) / 100_000) ** 0.5
