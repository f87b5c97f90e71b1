"""Base 64 and digests where the libraries that do them fastest are not to be had."""

import base64
import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luamtev import bridge
from luamtev.api.digests import functions

BENCH = b"""
local sources, border, has_libraries = ...
if not has_libraries then require("ffi").load = function() error("not found") end end
mtev = {}
border.base64_library = function() return border.path end
local home = { border = border, checked = function(f) return f end }
local loaded = {}
function home.need(name)
  loaded[name] = loaded[name] or assert(loadstring(sources[name], name))(home)
  return loaded[name]
end
home.need("mtev/digests")
return mtev
"""


def load(has_libraries: bool, path: str | None) -> Any:
    border = bridge.Border()
    folder = resources.files("luamtev") / "lua"
    names = ("arguments", "mtev/encodings", "mtev/digests")
    sources = {name: (folder / f"{name}.lua").read_bytes() for name in names}
    state: Any = None
    made = border.pin(functions(state))
    if path is not None:
        made[b"path"] = path.encode()
    return border.load(BENCH, "bench")(border.table(sources), made, has_libraries)


@pytest.fixture(scope="module", params=["none", "wrong"])
def lua(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The functions without any library, or with one that has not what is looked for."""
    found = load(False, None) if request.param == "none" else load(True, "libz.so.1")

    def call(name: str, *arguments: bytes) -> Any:
        return found[name.encode()](*arguments)

    return call


@given(data=st.binary(max_size=300))
@example(data=b"x" * 100_000)
def test_base64_is_the_same(lua: Any, data: bytes) -> None:
    text = base64.b64encode(data)
    assert lua("base64_encode", data) == text
    assert lua("base64_decode", text) == data
    assert lua("base64_decode", base64.urlsafe_b64encode(data) + b"\n") == data


@given(data=st.binary(max_size=300))
@example(data=b"x" * 100_000)
def test_digests_are_the_same(lua: Any, data: bytes) -> None:
    for name in ("md5", "sha1", "sha256"):
        expected = hashlib.new(name, data)
        assert lua(name, data) == expected.digest()
        assert lua(f"{name}_hex", data) == expected.hexdigest().encode()
