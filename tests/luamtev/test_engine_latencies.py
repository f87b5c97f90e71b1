"""Latencies that Lua counts come to the buckets that Python would have put them in."""

from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luamtev.bridge import Border
from luamtev.web import counts
from luamtev.web.counts import Cells
from runtime.stats import Histogram

NOTE = b"""
local load_ledger, counts, cells, zeroes = ...
local ffi = require("ffi")
ffi.cdef("typedef struct { long sec, nsec; } luamtev_timespec;")
local now = 0
local border = setmetatable({
  http1_counts_address = function() return counts end,
  http1_latency_address = function() return cells end,
  log_enabled_address = function() return zeroes end,
  log_direct_address = function() return zeroes end,
  log_find = function() return 0 end,
}, { __index = function() return print end })
local ledger = load_ledger({
  border = border, kernel = { monotonic = function() return now end }, need = function() return {} end,
  checked = function(f) return f end,
})
return function(seconds)
  now = 1000 + seconds
  ledger.note({}, { line = { route = { slot = 0 } }, draft = { code = 200, began = 1000 } }, 0)
end
"""


def noting() -> tuple[Any, Cells, list[Any]]:
    border = Border()
    source = (resources.files("luamtev") / "lua/http1/ledger.lua").read_bytes()
    counted, cells, zeroes = Cells(16), Cells(counts._CELLS + counts._CLASSES), Cells(16)
    note = border.load(NOTE, "test")(border.load(source, "ledger"), counted.address, cells.address, zeroes.address)
    return note, cells, [border, counted, zeroes]


note, cells, kept = noting()
counted, expected = Histogram(), Histogram()
counted.join(lambda: counts._buckets(cells))


@given(st.one_of(st.integers(0, 2000), st.integers(0, 900_000_000)))
def test_a_latency_comes_to_its_bucket(micros: int) -> None:
    note(micros * 1e-6)
    expected.add(micros * 1e-6)
    assert counted.buckets() == expected.buckets()
    assert counted.total == pytest.approx(expected.total)
