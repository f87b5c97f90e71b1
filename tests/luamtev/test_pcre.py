"""Both engines of mtev.pcre: one set of specs, and batches of matches."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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
