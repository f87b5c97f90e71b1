"""What fails, where it is reported, and what still runs: hooks, coroutines left behind, time limits."""

import shutil
from pathlib import Path
from typing import Any

import mtev_busted


def titles(run: Any, kind: str) -> list[str]:
    return [entry["title"] for entry in run.json()[kind]]


def results(run: Any) -> dict[str, str]:
    return {each["name"]: each["status"] for each in run.json()["results"]}


def test_a_failing_setup_skips_the_tests_of_its_block_and_tears_down(busted: Any) -> None:
    run = busted.spec(
        """
        describe("d", function()
          setup(function() error("no setup") end)
          teardown(function() print("torn down") end)
          it("never", function() end)
        end)
        it("other", function() end)
        """,
        "-o",
        "json",
    )
    assert run.status == 2
    assert results(run) == {"other": "success"}
    assert titles(run, "errors") == ["spec/one_spec.lua @ 3: d lazy_setup"]
    assert "torn down" in run.out


def test_a_failing_before_each_skips_its_test_but_not_after_each(busted: Any) -> None:
    run = busted.spec(
        """
        describe("outer", function()
          before_each(function() print("outer before") end)
          after_each(function() print("outer after") end)
          describe("d", function()
            before_each(function() assert(false, "not ready") end)
            before_each(function() print("second before") end)
            after_each(function() print("inner after") end)
            it("never", function() print("body") end)
          end)
        end)
        """,
        "-o",
        "json",
    )
    assert run.out.splitlines()[:-1] == ["outer before", "inner after", "outer after"]
    assert results(run) == {}
    assert titles(run, "failures") == []
    assert titles(run, "errors") == ["spec/one_spec.lua @ 6: outer d before_each"]


def test_an_error_in_finally_fails_the_test(busted: Any) -> None:
    run = busted.spec('it("f", function() finally(function() error("last") end) end)', "-o", "json")
    assert results(run) == {"f": "error"}


def test_finally_and_after_each_run_after_an_error(busted: Any) -> None:
    run = busted.spec(
        """
        after_each(function() print("after") end)
        it("f", function() finally(function() print("finally") end) error("first") end)
        """,
        "-o",
        "json",
    )
    assert run.out.splitlines()[:-1] == ["finally", "after"]
    assert results(run) == {"f": "error"}


def test_errors_may_be_any_value(busted: Any) -> None:
    run = busted.spec(
        """
        it("nil", function() error(nil) end)
        it("table", function() error({ code = 7 }) end)
        it("object", function() error(setmetatable({}, { __tostring = function() return "an object" end })) end)
        it("bad object", function() error(setmetatable({}, { __tostring = function() error("worse") end })) end)
        it("number", function() error(5, 0) end)
        """,
        "-o",
        "json",
    )
    assert set(results(run).values()) == {"error"}
    messages = [entry["message"] for entry in run.json()["errors"]]
    places = [f"spec/one_spec.lua:{line}: " for line in range(2, 7)]
    texts = ["Nil error", "{\n  [code] = 7 }", "an object", "error object is a table whose tostring fails", "5"]
    assert messages == [place + text for place, text in zip(places, texts, strict=True)]


def test_a_coroutine_that_fails_during_its_test_fails_it_at_once(busted: Any) -> None:
    run = busted.spec(
        """
        it("waits for its child", function()
          mtev.coroutine_spawn(function() mtev.sleep(0) error("child died") end)
          mtev.waitfor("news that never come")
        end)
        it("next", function() end)
        """,
        "-o",
        "json",
    )
    assert results(run) == {"waits for its child": "error", "next": "success"}
    assert run.json()["errors"][0]["message"] == "spec/one_spec.lua:3: child died"


def test_a_coroutine_that_fails_after_its_test_is_an_error_of_that_test(busted: Any) -> None:
    run = busted.spec(
        """
        it("leaves a child", function()
          mtev.coroutine_spawn(function()
            mtev.waitfor("test two runs")
            mtev.coroutine_spawn(function() assert.is_true(false) end)
          end)
        end)
        it("two", function() mtev.notify("test two runs") end)
        """,
        "-o",
        "json",
    )
    assert run.status == 2
    assert results(run) == {"leaves a child": "error", "two": "success"}
    assert "a coroutine failed after its test ended: " in run.json()["errors"][0]["message"]


def test_a_test_over_its_time_is_stopped_with_its_stack_and_the_others_run(busted: Any) -> None:
    run = busted.spec(
        """
        local function spin() while true do end end
        local function stuck() mtev.waitfor("never") end
        it("spins", function() spin() end)
        it("spins in pcall", function() while true do pcall(spin) end end)
        it("is stuck", function() stuck() end)
        describe("d", function()
          before_each(function() stuck() end)
          it("has a stuck hook", function() end)
        end)
        it("spins in a coroutine", function() coroutine.wrap(spin)() end)
        it("passes", function() mtev.sleep(0) end)
        """,
        "-o",
        "json",
        "--timeout=0.2",
    )
    assert run.status == 2
    assert results(run) == {
        "spins": "error",
        "spins in pcall": "error",
        "is stuck": "error",
        "spins in a coroutine": "error",
        "passes": "success",
    }
    errors = run.json()["errors"]
    assert all("timeout: did not end within 0.2 s" in each["message"] for each in errors)
    assert "one_spec.lua:2: in function 'spin'" in errors[0]["traceback"]
    assert "one_spec.lua:3: in function 'stuck'" in errors[2]["traceback"]
    assert errors[3]["element"]["descriptor"] == "before_each"


def test_a_file_that_never_ends_is_stopped(busted: Any) -> None:
    busted.write("spec/endless_spec.lua", "while true do end\n")
    run = busted.spec('it("passes", function() end)', "-o", "json", "--timeout=0.2")
    assert results(run) == {"passes": "success"}
    assert titles(run, "errors") == ["spec/endless_spec.lua"]


def test_the_failing_line_is_shown(busted: Any) -> None:
    run = busted.spec('it("f", function()\n  assert.same({ a = 1 }, { a = 2 }) -- here\nend)')
    assert "spec/one_spec.lua:2: Expected objects to be the same." in run.out
    assert "\n  > assert.same({ a = 1 }, { a = 2 }) -- here\n" in run.out
    assert "  .a: expected 1, got 2\n" in run.out


def test_it_in_a_test_is_an_error(busted: Any) -> None:
    run = busted.spec('it("outer", function() it("inner", function() end) end)')
    assert "'it' not supported inside current context block" in run.out


def test_an_executor_that_fails_is_an_error_of_its_element(busted: Any) -> None:
    run = busted.spec(
        """
        busted.register("scenario", function(element) element.run() end)
        describe("d", function()
          scenario("s", function() error("oops") end)
          it("next", function() x = 1 end)
        end)
        """,
        "-o",
        "json",
    )
    assert results(run) == {"d next": "success"}
    assert titles(run, "errors") == ["spec/one_spec.lua @ 4: d s scenario"]


def test_endless_recursion_is_an_error_of_its_test(busted: Any) -> None:
    run = busted.spec(
        """
        local function f() return 1 + f() end
        it("recurs", f)
        it("next", function() end)
        """,
        "-o",
        "json",
    )
    assert results(run) == {"recurs": "error", "next": "success"}
    assert "stack overflow" in run.json()["errors"][0]["message"]


def test_the_runner_does_not_depend_on_what_a_spec_replaces(busted: Any) -> None:
    run = busted.spec(
        """
        it("replaces", function()
          for _, name in ipairs({ "time", "sleep", "waitfor", "notify", "coroutine_spawn", "cancel_coro" }) do
            stub(mtev, name)
          end
          stub(io, "write")
          stub(debug, "traceback")
          _G.print = nil
        end)
        it("next", function() assert.equal(1, 2) end)
        """
    )
    assert run.status == 2
    assert "[==========] 2 tests from 1 test file ran." in run.out


def test_ten_thousand_tests_run_through(busted: Any) -> None:
    run = busted.spec(
        'for i = 1, 10000 do it("test " .. i, function() assert.equal(i, i) end) end', "-o", "plain", "-v"
    )
    assert run.status == 0
    assert "10000 successes / 0 failures / 0 errors / 0 pending" in run.out


def test_the_runner_is_in_no_traceback_however_long_its_path_is(busted: Any) -> None:
    place = busted.directory / ("a long " * 20)
    shutil.copytree(Path(mtev_busted.__file__).parent, place / "mtev_busted")
    busted.write(
        "spec/a_spec.lua",
        """
        it("fails", function() assert.is_true(false) end)
        it("raises", function() local nothing = nil + 1 end)
        it("lacks", function() require("no.such.module") end)
        """,
    )
    run = busted.run("-o", "TAP", env={"PYTHONPATH": str(place)})
    assert run.status == 2
    assert run.out.count("stack traceback:") == 3
    assert "mtev_busted/" not in run.out
