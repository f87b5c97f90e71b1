"""A million objects of a kind leave no handle and no memory.  What takes longer than some seconds is for `make soak`,
where the normal run makes do with fewer; XML nodes and big numbers have the same test beside their others."""

from typing import Any

import pytest

from luamtev import bridge

MILLION = 1_000_000
GROWTH = 4 << 20
"""Bytes of resident memory that may come and go by themselves."""

KINDS = {
    "pcre": """
        assert(mtev.pcre("(" .. i .. ")+x*")("a" .. i .. "x"))
    """,
    "pcre that does not compile": """
        assert(not mtev.pcre("(" .. i))
    """,
    "gunzip": """
        assert(#mtev.gunzip()(GZIP) == 24)
    """,
    "gunzip left in the middle": """
        assert(#mtev.gunzip()(GZIP:sub(1, -12)) <= 24)
    """,
    "gunzip of corrupt data": """
        assert(not pcall(mtev.gunzip(), "this is no deflate data"))
    """,
    "XML document": """
        assert(mtev.parsexml("<a k='v'><b>text</b></a>"))
    """,
    "XML document in use": """
        local doc = mtev.parsexml("<a k='v'><b>text</b></a>")
        assert(doc:xpath("//b")():contents() == "text" and doc:root():attr("k", "w") == nil)
    """,
    "XML that is none": """
        assert(not mtev.parsexml("<a><b></a>"))
    """,
    "timezone": """
        local hour, name = mtev.timezone(i % 2 == 0 and "Europe/Berlin" or "UTC"):extract(i * 1000, "hour", "zonename")
        assert(hour and name)
    """,
    "timezone that is none": """
        assert(not pcall(mtev.timezone, "No/Where" .. i))
    """,
    "JSON document": """
        local json = mtev.parsejson('{"a":[' .. i .. ',2,{"b":null}]}')
        assert(json:document().a[1] == i and #json:tostring() > 20)
    """,
    "JSON of a table": """
        assert(mtev.tojson({ i, { x = i, y = { "text" } } }):tostring())
    """,
    "JSON that is none": """
        assert(not mtev.parsejson('{"a":[' .. i))
    """,
    "bignum": """
        local n = mtev.bignum_new(i)
        assert(n:mul_word(2 ^ 31) == 1 and n:num_bits() > 31)
    """,
}

PROGRAM = """
    local GZIP = mtev.base64_decode("H4sIAAAAAAACA8tIzcnJV8hAJ7kAAIhZCxgAAAA=")
    ffi.cdef "int malloc_trim(size_t pad);"
    local function resident()
      collectgarbage() collectgarbage()
      pcall(function() ffi.C.malloc_trim(0) end) -- what was free before hides nothing, what is free now is no leak
      for line in io.lines("/proc/self/status") do
        local kilobytes = line:match("^VmRSS:%s+(%d+)")
        if kilobytes then return tonumber(kilobytes) * 1024 end
      end
    end
    local function churn(first, last)
      for i = first, last do
        BODY
      end
    end
    function main()
      mtev.coroutine_spawn(churn, 1, COUNT / 10)
      local before = resident()
      mtev.coroutine_spawn(churn, COUNT / 10 + 1, COUNT)
      print(resident() - before)
      jit.flush() -- compiled code keeps what it was compiled for
      collectgarbage() collectgarbage()
      os.exit(0)
    end
"""


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> list[bridge.Handles[Any]]:
    """Every handle table made in the test."""
    made: list[bridge.Handles[Any]] = []
    make = bridge.Handles.__init__

    def counted(self: bridge.Handles[Any]) -> None:
        make(self)
        made.append(self)

    monkeypatch.setattr(bridge.Handles, "__init__", counted)
    return made


def churn(lua: Any, tables: list[bridge.Handles[Any]], kind: str, count: int) -> None:
    lua.timeout = 600
    grown = int(lua(PROGRAM.replace("BODY", KINDS[kind]).replace("COUNT", str(count))))
    assert grown < GROWTH
    assert lua.on_thread(lambda: sum(map(len, tables))) == 0


QUICK = ["pcre that does not compile", "gunzip", "timezone", "JSON document", "JSON of a table", "JSON that is none"]
SLOW = [kind for kind in KINDS if kind not in QUICK]


@pytest.mark.parametrize("kind", [*QUICK, *(pytest.param(kind, marks=pytest.mark.soak) for kind in SLOW)])
def test_a_million_leave_nothing_behind(lua: Any, tables: list[bridge.Handles[Any]], kind: str) -> None:
    churn(lua, tables, kind, MILLION)


@pytest.mark.parametrize("kind", SLOW)
def test_many_leave_nothing_behind(lua: Any, tables: list[bridge.Handles[Any]], kind: str) -> None:
    churn(lua, tables, kind, 50_000)


@pytest.mark.parametrize("kind", ["pcre", "pcre that does not compile"])
@pytest.mark.parametrize("count", [20_000, pytest.param(MILLION, marks=pytest.mark.soak)])
def test_expressions_of_the_package_leave_nothing_behind(
    lua: Any, tables: list[bridge.Handles[Any]], monkeypatch: pytest.MonkeyPatch, kind: str, count: int
) -> None:
    monkeypatch.setenv("LUAMTEV_PCRE", "package")
    churn(lua, tables, kind, count)
