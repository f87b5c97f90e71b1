"""JSON against Python's own reader and writer, on documents nobody thought of."""

import json
import math
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luamtev import bridge

BENCH = b"""
local sources = ...
mtev = {}
local home = {}
function home.need(name) return assert(loadstring(sources[name]))(home) end
home.need("mtev/json")
local parse = function(text)
  local json, message, offset = mtev.parsejson(text)
  if not json then return false, message, offset end
  return true, json
end
return {
  fails = function(text)
    local ok, message, offset = parse(text)
    if ok then return nil end
    return message, offset
  end,
  value = function(text)
    local ok, json = parse(text)
    assert(ok, json)
    return json:document()
  end,
  is_negative = function(text)
    local ok, json = parse(text)
    assert(ok, json)
    return 1 / json:document() < 0 -- the sign of a zero, which does not cross
  end,
  text = function(text)
    local ok, json = parse(text)
    assert(ok, json)
    return json:tostring()
  end,
  again = function(text)
    local ok, json = parse(text)
    assert(ok, json)
    return mtev.tojson(json:document()):tostring()
  end,
}
"""


@pytest.fixture(scope="module")
def lua() -> Callable[..., Any]:
    border = bridge.Border()
    folder = resources.files("luamtev") / "lua"
    names = ["arguments", "mtev/object", "mtev/json_decode", "mtev/json_encode", "mtev/json"]
    functions = border.load(BENCH, "bench")(
        border.table({name: (folder / f"{name}.lua").read_bytes() for name in names})
    )
    return lambda name, text: functions[name.encode()](text)


def as_lua(value: Any) -> Any:
    """What Lua makes of a document, nulls left out."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**52 else str(value).encode()
    if isinstance(value, list):
        return {i + 1: as_lua(each) for i, each in enumerate(value) if each is not None}
    if isinstance(value, dict):
        return {as_lua(k): as_lua(each) for k, each in value.items() if each is not None}
    return value


def from_lua(value: Any) -> Any:
    if hasattr(value, "items"):
        return {k: from_lua(v) for k, v in value.items()}
    return value


text = st.text(st.characters(exclude_categories=("Cs",)))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
documents = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=30,
)


@given(document=documents, ascii_only=st.booleans(), indent=st.none() | st.integers(0, 3))
@example(document=[2**52 - 1, 2**52, -(2**52), -(2**63), 2**64, 10**40], ascii_only=True, indent=None)
def test_a_document_is_what_python_reads(lua: Any, document: Any, ascii_only: bool, indent: int | None) -> None:
    source = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    assert from_lua(lua("value", source)) == as_lua(document)


@given(document=documents)
def test_the_text_of_a_document_is_the_same_document(lua: Any, document: Any) -> None:
    assert json.loads(lua("text", json.dumps(document).encode())) == document


@given(
    number=st.floats(allow_nan=False, allow_infinity=False), shape=st.sampled_from(["%r", "%.17g", "%.25e", "%.20f"])
)
@example(number=9007199254740993.0, shape="%r")
@example(number=2.2250738585072014e-308, shape="%r")
@example(number=5e-324, shape="%.25e")
def test_a_double_is_read_exactly(lua: Any, number: float, shape: str) -> None:
    source = shape % number
    if "." not in source and "e" not in source:
        source += ".0"
    read, expected = lua("value", source.encode()), float(source)
    assert read == expected
    assert lua("is_negative", source.encode()) == (math.copysign(1, expected) < 0)


@given(number=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53).map(float))
@example(number=1.0000005)
@example(number=0.0000005)
@example(number=2147483646.9999999)
@example(number=-0.0000001)
@example(number=0.9999995)
def test_a_number_is_written_as_an_integer_or_with_six_decimals(lua: Any, number: float) -> None:
    whole = number.is_integer() and abs(number) < 2**63
    expected = str(int(number)) if whole else f"{number:.6f}"
    read = lua("again", (repr(number) + ("" if "." in repr(number) or "e" in repr(number) else ".0")).encode())
    assert read == expected.encode()


@given(value=text)
def test_a_string_comes_back_and_escapes_what_the_format_escapes(lua: Any, value: str) -> None:
    written = lua("again", json.dumps(value).encode())
    assert json.loads(written) == value
    assert b"/" not in written.replace(b"\\/", b"")


@given(garbage=st.binary(max_size=40) | st.text('[]{},:"\\u01-+.eE truefalsn\n', max_size=40).map(str.encode))
def test_garbage_is_a_document_or_an_error_with_an_offset_inside_it(lua: Any, garbage: bytes) -> None:
    failure = lua("fails", garbage)
    if failure is not None:
        message, offset = failure
        assert message
        assert 0 <= offset <= len(garbage)
        assert (message == b"unexpected end of data") == (offset == len(garbage))


@given(document=documents.filter(lambda value: isinstance(value, (list, dict))), data=st.data())
def test_a_truncated_document_is_refused(lua: Any, document: Any, data: Any) -> None:
    source = json.dumps(document).encode()
    cut = data.draw(st.integers(0, len(source) - 1))
    assert lua("fails", source[:cut]) is not None


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_a_depth_bomb_is_refused(lua: Any, opening: bytes) -> None:
    message, offset = lua("fails", opening * 1_000_000)
    assert message == b"nested too deep"
    assert offset <= 1000 * len(opening)


def test_a_thousand_levels_are_read_and_written(lua: Any) -> None:
    source = b"[" * 1000 + b"]" * 1000
    written = b"[ " * 1000 + b"]" + b" ]" * 999
    assert lua("again", source) == written
    assert lua("text", source) == written
