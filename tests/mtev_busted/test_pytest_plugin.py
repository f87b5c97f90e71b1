"""Specs as items of pytest."""

import re
import subprocess
import sys
from typing import Any

import pytest
from lxml import etree


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
    done = run_pytest(busted, "-k", "one", "--durations=2")
    assert done.returncode == 0, done.stdout + done.stderr
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


def test_the_runners_options_are_pytests_too(busted: Any) -> None:
    busted.write("src/m.lua", "return 1")
    busted.write(
        "spec/one_spec.lua",
        """
        local n, t = 0, { f = function() return "real" end }
        require("m")
        it("tries again", function() n = n + 1 assert.equal(2, n) end)
        it("stubs", function() stub(t, "f") end)
        it("has the real one", function() assert.equal("real", t.f()) end)
        it("leaks", function() mtev.coroutine_spawn(function() mtev.waitfor("never") end) end)
        it("has options", function() assert.equal("v", TEST_OPTIONS.K) end)
        it("has a snapshot", function() assert.matches_snapshot("text") end)
        """,
    )
    options = ("--spec-retry=1", "--spec-revert", "--spec-leaks=fail", "--spec-option=K=v", "--spec-coverage=cov")
    out = run_pytest(busted, *options).stdout
    for line in ("tries again PASSED", "has the real one PASSED", "leaks FAILED", "has options PASSED"):
        assert line in out
    assert "the test left a coroutine that has not ended" in out
    assert "DA:1,1" in (busted.directory / "cov/spec-one_spec.lcov").read_text()
    assert (busted.directory / "cov/spec-one_spec.xml").exists()
    (busted.directory / "spec/__snapshots__/one_spec.snap").unlink()
    assert "has a snapshot FAILED" in run_pytest(busted, "--spec-snapshots=check").stdout


TRIED = """
local n = 0
it("passes at last #flaky", function() n = n + 1 assert.equal(2, n) end)
it("never does", function() error("no") end)
it("takes its time", function() mtev.sleep(0.2) end)
it("leaks", function() mtev.socket("inet"):bind("127.0.0.1", 0) end)
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two processes"])
def test_reports_have_tries_durations_and_what_is_left(busted: Any, workers: tuple[str, ...]) -> None:
    busted.write("spec/one_spec.lua", TRIED)
    out = run_pytest(
        busted, "--spec-retry=1", "--spec-leaks=warn", "--durations=1", "-rP", "--junit-xml=junit.xml", *workers
    ).stdout
    for name, status in (("passes at last #flaky", "PASSED (try 2)"), ("never does", "FAILED (try 2)")):
        assert any(name in line and status in line for line in out.splitlines()), out
    assert out.count("try 1 failed:\n") == 2
    assert "one_spec.lua:6: SpecWarning: the test left an open socket" in out
    assert re.search(r"slowest 1 durations =+\n0[.]2\ds call +spec/one_spec.lua::takes its time\n", out)
    cases = busted.junit("junit.xml").findall(".//testcase")
    tries = {each.get("name"): [one.get("value") for one in each.iter("property")] for each in cases}
    assert tries == {"passes at last #flaky": ["2"], "never does": ["2"], "takes its time": [], "leaks": []}


def test_a_warning_can_be_made_an_error(busted: Any) -> None:
    busted.write("spec/one_spec.lua", TRIED)
    out = run_pytest(busted, "--spec-leaks=warn", "-W", "error", "-k", "leaks").stdout
    assert "leaks FAILED" in out
    assert "the test left an open socket" in out


def test_pytests_own_options_choose_and_stop(busted: Any) -> None:
    busted.write("spec/a_spec.lua", 'it("good", function() end) it("bad", function() assert(io.open("mended")) end)')
    busted.write("spec/b_spec.lua", 'it("other", function() assert(false) end)')
    stopped = run_pytest(busted, "-p", "cacheprovider", "-x").stdout
    assert "bad FAILED" in stopped
    assert "other" not in stopped
    busted.write("mended", "")
    again = run_pytest(busted, "-p", "cacheprovider", "--lf").stdout
    assert "spec/a_spec.lua::bad PASSED" in again
    assert "1 passed" in again


def test_a_test_may_have_any_name(busted: Any) -> None:
    busted.write(
        "w_spec.lua", r'it("\255\0\1 x\n[y]::z", function() end) it("", function() end) it("--name=x", function() end)'
    )
    assert "3 passed" in run_pytest(busted).stdout
    assert "1 passed" in run_pytest(busted, "-k", "not name").stdout


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--spec-retry=-1", "--spec-retry: a whole number of at least 0 is expected, got '-1'"),
        ("--spec-retry=1.5", "--spec-retry: a whole number of at least 0 is expected, got '1.5'"),
        ("--spec-timeout=0", "--spec-timeout: a number of at least 0.001 is expected, got '0'"),
        ("--spec-file-timeout=nan", "--spec-file-timeout: a number of at least 0.001 is expected, got 'nan'"),
        ("--spec-option==x", "--spec-option: K or K=V is expected, got '=x'"),
        ("--spec-leaks=maybe", "--spec-leaks: invalid choice: 'maybe'"),
        ("--spec-coverage=w_spec.lua", "--spec-coverage: w_spec.lua: File exists"),
    ],
)
def test_a_wrong_option_is_one_of_pytests(busted: Any, option: str, said: str) -> None:
    busted.write("w_spec.lua", 'it("a", function() end)')
    done = run_pytest(busted, option)
    assert done.returncode == 4
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_does_not_go_on_is_ended(busted: Any) -> None:
    busted.write(
        "spec/one_spec.lua", 'it("a", function() end) it("b", function() ffi.cdef("int pause();") ffi.C.pause() end)'
    )
    out = run_pytest(busted, "--spec-file-timeout=1").stdout
    assert "a PASSED" in out
    assert "b FAILED" in out
    assert "its process was killed" in out


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two processes"])
def test_coverage_stands_beside_that_of_python(busted: Any, workers: tuple[str, ...]) -> None:
    busted.write("src/m.lua", "local function f(x)\n  if x then return 1 end\n  return 2\nend\nreturn f\n")
    busted.write("mine/__init__.py", "def f():\n    return 1\n")
    busted.write("test_mine.py", "import mine\n\ndef test_f():\n    assert mine.f() == 1\n")
    busted.write("spec/a_spec.lua", 'it("a", function() assert.equal(1, require("m")(true)) end)')
    busted.write("spec/b_spec.lua", 'it("b", function() require("m")(true) end)')
    busted.write(".busted", "return { default = { coverage = true } }")
    done = run_pytest(busted, "--cov=mine", "--spec-coverage=cov", *workers)
    assert done.returncode == 0, done.stdout
    assert re.search(r"mine/__init__.py +2 +0 +100%\n", done.stdout)
    assert re.search(r"src/m.lua +4 +1 +75.0%  3\n", done.stdout)
    assert "DA:2,2\nDA:3,0\n" in (busted.directory / "cov/lcov.info").read_text()
    assert sorted(each.name for each in (busted.directory / "cov").iterdir()) == [
        "cobertura.xml", "lcov.info", "spec-a_spec.lcov", "spec-a_spec.xml", "spec-b_spec.lcov", "spec-b_spec.xml",
    ]  # fmt: skip
    lines = etree.parse(str(busted.directory / "cov/cobertura.xml")).findall(".//class[@filename='src/m.lua']//line")
    assert [(each.get("number"), each.get("hits")) for each in lines][:2] == [("2", "2"), ("3", "0")]
    assert not (busted.directory / "lcov.info").exists()


def test_what_ran_before_a_crash_has_its_result(busted: Any) -> None:
    busted.write(
        "spec/one_spec.lua",
        """
        it("before", function() end)
        it("crashes", function() require("ffi").cdef("int raise(int);") require("ffi").C.raise(9) end)
        """,
    )
    out = run_pytest(busted).stdout
    assert "before PASSED" in out
    assert "crashes FAILED" in out
    assert "ended by signal 9" in out


def test_files_stay_whole_under_xdist(busted: Any) -> None:
    for name in ("a", "b", "c"):
        busted.write(
            f"spec/{name}_spec.lua",
            f"""
            local file = assert(io.open("{name}.loaded", "a"))
            file:write(mtev.getpid(), "\\n")
            file:close()
            for i = 1, 5 do it("{name}" .. i, function() end) end
            """,
        )
    done = run_pytest(busted, "-n", "2")
    assert done.returncode == 0, done.stdout
    assert "15 passed" in done.stdout
    for name in ("a", "b", "c"):  # listed by each worker, run by one
        assert len((busted.directory / f"{name}.loaded").read_text().splitlines()) == 3
