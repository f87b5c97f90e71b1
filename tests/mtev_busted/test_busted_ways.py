"""What suites written for busted rely on: curried blocks, its options and configuration, helpers, handlers, seeds."""

import re
from typing import Any

import pytest


def results(run: Any) -> dict[str, str]:
    return {each["name"]: each["status"] for each in run.json()["results"]}


def test_blocks_can_be_curried(busted: Any) -> None:
    run = busted.spec(
        """
        describe "curried" (function()
          it "works" (function() assert(true) end)
          pending "later"
        end)
        """,
        "-o",
        "json",
    )
    assert results(run) == {"curried works": "success", "curried later": "pending"}


def test_a_failed_assertion_outside_a_test_is_an_error(busted: Any) -> None:
    run = busted.spec(
        """
        describe("d", function()
          before_each(function() assert.is_true(false) end)
          it("x", function() end)
        end)
        it("value", function() assert(false, { code = 7 }) end)
        """,
        "-o",
        "json",
    )
    assert [each["title"] for each in run.json()["errors"]] == ["spec/one_spec.lua @ 3: d before_each"]
    assert results(run) == {"value": "failure"}


@pytest.mark.parametrize("hook", ["setup", "before_each", "after_each", "teardown"])
def test_pending_in_a_hook_is_an_error(busted: Any, hook: str) -> None:
    run = busted.spec(f'{hook}(function() pending("why") end) it("x", function() end)', "-o", "json")
    assert run.status == 2
    assert "'pending' not supported inside current context block" in run.json()["errors"][0]["message"]


def test_ffi_declarations_are_made_again_in_each_file(busted: Any) -> None:
    busted.write(
        "point.lua",
        """
        local ffi = require("ffi")
        ffi.cdef [[ typedef struct suites_point { int x, y; } suites_point; ]]
        return ffi.metatype("suites_point", { __index = { sum = function(self) return self.x + self.y end } })
        """,
    )
    for name in ("a", "b"):
        busted.write(f"spec/{name}_spec.lua", 'it("t", function() assert.equal(3, require("point")(1, 2):sum()) end)')
    assert busted.run().status == 0


def test_a_module_of_the_suite_sees_the_runners_names(busted: Any) -> None:
    busted.write(
        "support.lua", "return { child = start_child, flat = env_flatten({ A = 'b' }), options = TEST_OPTIONS }"
    )
    run = busted.spec(
        """
        local support = require("support")
        it("sees them", function()
          assert.same({ "A=b" }, support.flat)
          assert.equal(start_child, support.child)
          assert.same({ K = "v" }, support.options)
        end)
        """,
        "-X",
        "K=v",
    )
    assert run.status == 0, run.out


def test_a_helpers_global_wins_over_the_runners(busted: Any) -> None:
    busted.write("shadow.lua", "function start_child() return 'mine' end API = { mine = true }")
    run = busted.spec(
        'it("t", function() assert.is_true(API.mine) assert.equal("mine", start_child()) end)', "-i", "shadow.lua"
    )
    assert run.status == 0, run.out


def test_a_function_that_a_helper_returns_is_called(busted: Any) -> None:
    busted.write(
        "helper.lua",
        """
        print("arg", arg[0], table.concat(arg, " "), ...)
        return function(busted, name, options)
          print("called", type(busted.subscribe), name, table.concat(options.arguments, " "))
        end
        """,
    )
    run = busted.spec(
        'it("t", function() print(arg[1]) end)', "-i", "helper.lua", "-Xhelper", "--a,--b", "-Xhelper=--c"
    )
    assert "arg\thelper.lua\t--a --b --c\t--a\t--b\t--c\n" in run.out
    assert "called\tfunction\thelper.lua\t--a --b --c\n" in run.out
    assert "mtev-busted\n" in run.out


def test_a_statement_is_run_first(busted: Any) -> None:
    run = busted.spec('it("t", function() assert.equal(5, five) end)', "-e", "five = 5")
    assert run.status == 0
    run = busted.run("-e", "error('no')", "-o", "json")
    assert run.status == 2
    assert "-e error('no'): " in run.json()["errors"][0]["message"]


def test_names_of_passed_tests_can_be_left_out_next_time(busted: Any) -> None:
    options = ("--log-success=ok.txt", "--exclude-names-file=ok.txt", "-o", "json")
    source = 'it("good", function() end) it("bad", function() error("x") end)'
    assert results(busted.spec(source, *options)) == {"good": "success", "bad": "error"}
    assert results(busted.run(*options)) == {"bad": "error"}


def test_dot_busted_may_hold_what_other_runners_know(busted: Any) -> None:
    busted.write(
        ".busted",
        """
        return {
          _all = { coverage = false, ["coverage-config-file"] = "x", bogus = true },
          default = { lang = "de", loaders = { "lua", "moonscript" }, pattern = { "_a", "_b" }, ROOT = { "mine" } },
        }
        """,
    )
    for name in ("x_a.lua", "x_b.lua", "x_c.lua"):
        busted.write(f"mine/{name}", f'it("{name}", function() end)')
    run = busted.run("-o", "json")
    assert run.err == ""
    assert results(run) == {"x_a.lua": "success", "x_b.lua": "success"}
    told = busted.run("-v").err.splitlines()
    assert "mtev-busted: .busted: 'bogus' is not supported" in told
    assert "mtev-busted: --lang is accepted and does nothing" in told


def test_dot_busted_is_read_with_the_paths_of_the_command_line(busted: Any) -> None:
    busted.write("lib/settings.lua", "return { default = { ROOT = 'spec', output = 'TAP' } }")
    busted.write(".busted", "return require('settings')")
    assert busted.spec('it("t", function() end)', "--lpath=lib/?.lua", "--cpath=lib/?.so").out.startswith("TAP version")


def test_directories_are_changed_in_turn(busted: Any) -> None:
    busted.write("a/b/x_spec.lua", 'it("t", function() end)')
    assert busted.run("-C", "a", "-C", "b", "-o", "TAP").out.splitlines()[1] == "ok 1 - x_spec.lua @ 1: t"


HANDLER = """
return function(options)
  local busted = require("busted")
  local handler = require("busted.outputHandlers.base")()
  busted.subscribe({ "test", "end" }, function(element, parent, status)
    print(status, handler.getFullName(element), handler.successesCount, table.concat(options.arguments, "+"))
  end, { predicate = handler.cancelOnPending })
  busted.subscribe({ "suite", "end" }, function()
    print("failures", handler.failuresCount, handler.failures[1].name, handler.failures[1].element.trace.currentline)
  end)
  return handler
end
"""


@pytest.mark.parametrize("name", ["my_handler", "handlers/mine.lua"])
def test_an_output_handler_of_the_users(busted: Any, name: str) -> None:
    busted.write("my_handler.lua", HANDLER)
    busted.write("handlers/mine.lua", HANDLER)
    run = busted.spec(
        """
        describe("d", function() it("good", function() end) end)
        it("bad", function() assert(false) end)
        pending("later")
        """,
        "-o",
        name,
        "-Xoutput",
        "--a,--b",
        "--suppress-pending",
    )
    assert run.out.splitlines() == [
        "success\td good\t1\t--a+--b",
        "failure\tbad\t1\t--a+--b",
        "failures\t1\tbad\t3",
    ]
    assert run.status == 2


def test_a_handler_that_does_not_load_is_an_error_and_the_tests_run(busted: Any) -> None:
    busted.write("broken.lua", "return function() error('cannot') end")
    run = busted.spec('it("t", function() print("ran") end)', "-o", "broken")
    assert run.status == 2
    assert "ran" in run.out
    assert "1 success / 0 failures / 1 error" in run.out
    assert "Cannot load output library: broken" in run.err
    assert busted.junit().get("errors") == "1"


CHANNELS = ("suite start", "file start", "describe start", "test start", "test end", "file end", "suite end")


@pytest.mark.parametrize(
    ("channel", "output"), [(each, "json") for each in CHANNELS] + [("test end", o) for o in ("gtest", "plain", "TAP")]
)
def test_an_error_in_a_subscriber_is_one_of_the_run(busted: Any, channel: str, output: str) -> None:
    busted.write(
        "helper.lua",
        f"""
        local kind, moment = ("{channel}"):match("(%a+) (%a+)")
        require("busted").subscribe({{ kind, moment }}, function() error("subscriber is broken") end)
        """,
    )
    run = busted.spec('describe("d", function() it("t", function() end) end)', "-i", "helper.lua", "-o", output)
    assert run.status == 2
    assert "subscriber is broken" in run.out
    assert f"a subscriber to {channel} failed" in run.out


def test_each_repetition_has_an_order_of_its_own(busted: Any) -> None:
    source = "for i = 1, 20 do it('t' .. i, function() io.write(i, ' ') end) end after_each(function() end)"
    source += " teardown(function() print() end)"
    busted.write("spec/one_spec.lua", source)

    def orders(*options: str) -> list[str]:
        out = busted.run("--shuffle", "--repeat=3", "-o", "TAP", *options).out
        return re.findall(r"(?:\d+ ){5,}", re.sub(r"ok .*\n", "", out))

    assert len(set(orders())) == 3
    given = orders("--seed=5")
    assert len(given) == 3
    assert len(set(given)) == 1
    assert given == orders("--seed=5")


def test_a_failure_in_random_order_shows_the_seed(busted: Any) -> None:
    source = 'it("a", function() assert(false) end)'
    assert "Random seed: 789" in busted.spec(source, "--shuffle", "--seed=789").out
    assert "Random seed" not in busted.run("--seed=789").out
    assert "Random seed: 5" in busted.spec("randomize(5) " + source).out
    assert "Random seed" not in busted.spec("randomize() randomize(nil) " + source).out


def test_required_busted_cannot_be_changed(busted: Any) -> None:
    run = busted.spec(
        """
        local busted = require("busted")
        it("t", function()
          assert.equal(describe, busted.describe)
          assert.equal(context, busted.context)
          assert.is_nil(busted.file)
          for _, name in ipairs({ "publish", "subscribe", "unsubscribe", "bindfenv", "fail", "gettime", "monotime",
            "sleep", "parent", "children" }) do assert.is_function(busted[name]) end
          assert.has_error(function() busted.it = print end)
          assert.has_error(function() busted.own = print end)
          local fixtures = require("busted.fixtures")
          assert.matches("/spec/x.txt$", fixtures.path("x.txt"))
          assert.equal("return 5", fixtures.read("../five.lua"))
          assert.equal(5, fixtures.load("../five"))
          assert.has_error(function() fixtures.read("nowhere") end)
        end)
        """
    )
    assert run.status == 2
    busted.write("five.lua", "return 5")
    assert busted.run().status == 0


def test_what_a_test_finds_only_in_its_body(busted: Any) -> None:
    run = busted.spec(
        """
        before_each(function() assert.is_nil(finally) end)
        after_each(function() assert.is_nil(finally) end)
        it("t", function()
          finally(function()
            assert.is_nil(finally)
            assert.has_error(pending, "'pending' not supported inside current context block")
          end)
          assert.has_error(describe, "'describe' not supported inside current context block")
        end)
        """
    )
    assert run.status == 0, run.out


def test_a_helper_reads_its_arguments(busted: Any) -> None:
    busted.write(
        "helper.lua",
        """
        cli_option("port", { help = "where", value = "N", default = "80" })
        cli_option("quiet", { help = "say less" })
        cli_option("host", { value = "NAME", default = "here" })
        given = parsecli()
        """,
    )
    run = busted.spec(
        'it("t", function() assert.same({ port = "81", quiet = true, host = "here" }, given) end)',
        "-i",
        "helper.lua",
        "-Xhelper",
        "-port,81,-quiet",
    )
    assert run.status == 0, run.out
    run = busted.run("-i", "helper.lua", "-Xhelper=-nosuch")
    assert run.status == 2
    assert "unknown argument: -nosuch" in run.out
    assert "-port N\twhere" in run.err
