"""Specs as items of pytest."""

import subprocess
import sys
from typing import Any


def run_pytest(busted: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "mtev_busted.pytest_plugin", "-p", "no:cacheprovider", "-v", *arguments],
        cwd=busted.directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_each_it_is_an_item(busted: Any) -> None:
    busted.write(
        "spec/one_spec.lua",
        """
        describe("block", function()
          it("passes", function() end)
          it("fails", function() assert.equal(1, 2) end)
          it("twice", function() end)
          it("twice", function() error("second") end)
          pending("later")
          it("not now", function() pending("a reason") end)
        end)
        """,
    )
    done = run_pytest(busted)
    assert done.returncode == 1
    for line in (
        "spec/one_spec.lua::block passes PASSED",
        "spec/one_spec.lua::block fails FAILED",
        "spec/one_spec.lua::block twice PASSED",
        "spec/one_spec.lua::block twice [2] FAILED",
        "spec/one_spec.lua::block later SKIPPED",
        "spec/one_spec.lua::block not now SKIPPED (a reason)",
    ):
        assert line in done.stdout
    assert "Expected objects to be equal" in done.stdout
    assert "subprocess" not in done.stdout


def test_only_the_chosen_tests_run(busted: Any) -> None:
    busted.write(
        "a_spec.lua",
        """
        it("one", function() end)
        it("two", function() local f = io.open("two", "w") f:close() end)
        """,
    )
    done = run_pytest(busted, "-k", "one")
    assert done.returncode == 0, done.stdout
    assert not (busted.directory / "two").exists()


def test_a_file_that_does_not_load_is_an_error_of_collection(busted: Any) -> None:
    busted.write("a_spec.lua", "it(")
    done = run_pytest(busted)
    assert done.returncode == 2
    assert "a_spec.lua:1: unexpected symbol near '<eof>'" in done.stdout


def test_an_error_outside_the_tests_is_not_lost(busted: Any) -> None:
    busted.write("a_spec.lua", 'it("fine", function() end)\nteardown(function() error("torn") end)')
    done = run_pytest(busted)
    assert done.returncode == 1
    assert "torn" in done.stdout


def test_a_test_without_a_result_fails_with_the_reason(busted: Any) -> None:
    busted.write(
        "a_spec.lua",
        """
        before_each(function() error("not set up") end)
        it("never ran", function() end)
        """,
    )
    done = run_pytest(busted)
    assert done.returncode == 1
    assert "not set up" in done.stdout


def test_the_time_limit_can_be_given(busted: Any) -> None:
    busted.write("a_spec.lua", 'it("spins", function() while true do end end)')
    done = run_pytest(busted, "--spec-timeout=0.2")
    assert done.returncode == 1
    assert "timeout: did not end within 0.2 s" in done.stdout
