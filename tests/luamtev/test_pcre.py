"""Both engines of mtev.pcre: one set of specs, and what only shows over a million expressions."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from luamtev.api import pcre
from luamtev.bridge import LuaError

TOP = Path(__file__).parents[2]


def test_the_specs_hold_without_a_system_library(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("mtev-busted")), str(TOP / "spec" / "pcre_spec.lua")],
        cwd=tmp_path,
        env=os.environ | {"LUAMTEV_PCRE": "package"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()


def test_a_batch_of_matches_is_what_single_ones_are() -> None:
    functions = pcre.functions(SimpleNamespace())  # type: ignore[arg-type]
    handle, groups, _ = functions["pcre_compile"](rb"(\w)|(?:)")
    assert groups == 1
    batch = functions["pcre_search"](handle, b"ab c", 0, False, 64, 0, 0)
    assert batch == [0, 1, 0, 1, 1, 2, 1, 2, 2, 2, -1, -1, 3, 4, 3, 4, 4, 4, -1, -1]
    functions["pcre_release"](handle)
    with pytest.raises(LuaError, match="invalid handle"):
        functions["pcre_search"](handle, b"ab c", 0, False, 64, 0, 0)


@pytest.mark.parametrize("engine", ["library", "package"])
def test_expressions_leave_no_memory_behind(lua: Any, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUAMTEV_PCRE", engine)
    printed = lua(
        """
        local function resident()
          for line in io.lines("/proc/self/status") do
            local kilobytes = line:match("^VmRSS:%s+(%d+)")
            if kilobytes then return tonumber(kilobytes) end
          end
        end
        local function churn(first, last)
          for i = first, last do
            assert(mtev.pcre("(" .. i .. ")+x*")("a" .. i .. "x"))
            mtev.gunzip()("")
          end
          collectgarbage()
        end
        function main()
          churn(1, 10000)
          local before = resident()
          churn(10001, 30000)
          print(resident() - before)
          os.exit(0)
        end
        """
    )
    assert int(printed) < 8192
