"""Retries, limits, leaks, snapshots, what failed before, and the reports they appear in."""

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from mtev_busted.plan import Plan
from mtev_busted.watch import chosen

JOBS = pytest.mark.parametrize("jobs", [(), ("-j", "2")])


def results(run: Any) -> dict[str, str]:
    return {each["name"]: each["status"] for each in run.json()["results"]}


FLAKY = """
local n, hooks = 0, 0
before_each(function() hooks = hooks + 1 end)
after_each(function() hooks = hooks + 1 end)
it("passes at the third try", function()
  n = n + 1
  assert.equal(3, n)
  assert.equal(5, hooks)
end)
it("never passes", function() error("always") end)
"""


@JOBS
def test_a_failed_test_is_tried_again_with_its_hooks(busted: Any, jobs: tuple[str, ...]) -> None:
    run = busted.spec(FLAKY, "--retry", "2", "-o", "json", *jobs)
    assert results(run) == {"passes at the third try": "success", "never passes": "error"}
    assert [each["tries"] for each in run.json()["results"]] == [3, 3]
    assert len(run.json()["retries"]) == 4
    assert len(run.json()["errors"]) == 1
    cases = busted.junit().findall(".//testcase")
    assert [each.tag for each in cases[0]] == ["flakyFailure", "flakyFailure"]
    assert [each.tag for each in cases[1]] == ["rerunFailure", "rerunFailure", "error"]
    assert busted.junit().get("errors") == "1"


def test_only_flaky_tests_are_tried_again_unless_asked(busted: Any) -> None:
    run = busted.spec(
        """
        local n, m = 0, 0
        it("says so #flaky", function() n = n + 1 assert.equal(2, n) end)
        it("does not", function() m = m + 1 assert.equal(2, m) end)
        it("#flakyish", function() error("x") end)
        """
    )
    assert "[  RETRY   ] spec/one_spec.lua @ 3: says so #flaky (try 1)\n" in run.out
    assert run.out.count("[  RETRY   ]") == 1
    assert "[  FAILED  ] 1 test, listed below:" in run.out
    assert "[  ERROR   ] 1 error, listed below:" in run.out
    assert "[  RETRY   ]" not in busted.run("--retry=0").out


@JOBS
def test_a_block_or_a_test_sets_its_own_limit(busted: Any, jobs: tuple[str, ...]) -> None:
    run = busted.spec(
        """
        describe("block", function()
          timeout(0.05)
          it("spins", function() while true do end end)
          it("waits", function() mtev.waitfor("never") end)
          it("has time enough", function() end)
          it("asks for more", function() timeout(20) mtev.sleep(0.1) end)
        end)
        it("limits itself", function() timeout(0.05) mtev.waitfor("never") end)
        it("has no limit, and is compiled", function() mtev.sleep(0.1) assert.is_true((jit.status())) end)
        it("needs seconds", function() assert.has_error(function() timeout("long") end) end)
        """,
        "-o",
        "json",
        *jobs,
    )
    assert results(run) == {
        "block spins": "error",
        "block waits": "error",
        "block has time enough": "success",
        "block asks for more": "success",
        "limits itself": "error",
        "has no limit, and is compiled": "success",
        "needs seconds": "success",
    }


def test_spies_and_stubs_are_taken_back_on_request(busted: Any) -> None:
    source = """
    local t = { f = function() return "real" end }
    it("a", function() stub(t, "f") assert:set_parameter("TableFormatLevel", 9) end)
    it("b", function() assert.equal("real", t.f()) assert.equal(3, assert:get_parameter("TableFormatLevel")) end)
    """
    assert busted.spec(source).status == 2
    assert busted.run("--auto-revert").status == 0


LEAKY = """
it("leaves a coroutine", function() mtev.coroutine_spawn(function() mtev.waitfor("never") end) end)
it("leaves a socket", function() mtev.socket("inet"):bind("127.0.0.1", 0) end)
it("leaves a program", function() mtev.spawn("/bin/sleep", { "sleep", "2" }) end)
it("leaves a pipe", function() kept = io.popen("sleep 2") end)
it("is tidy", function()
  io.popen("true"):close()
  mtev.coroutine_spawn(function() mtev.sleep(0) end)
  mtev.socket("inet"):close()
  local process = mtev.spawn("/bin/true")
  process:wait(10)
end)
"""


@JOBS
def test_what_a_test_leaves_is_told_with_its_line(busted: Any, jobs: tuple[str, ...]) -> None:
    run = busted.spec(LEAKY, "--leaks=warn", "-o", "json", *jobs)
    assert run.status == 0
    assert [each["message"] for each in run.json()["leaks"]] == [
        "the test left a coroutine that has not ended (spec/one_spec.lua:2)",
        "the test left an open socket (spec/one_spec.lua:3)",
        "the test left a running program (spec/one_spec.lua:4)",
        "the test left an open pipe of io.popen (spec/one_spec.lua:5)",
    ]
    run = busted.run("--leaks=fail", "-o", "json", *jobs)
    assert run.status == 2
    assert list(results(run).values()) == ["error", "error", "error", "error", "success"]
    assert "--leaks: one of warn, fail" in busted.run("--leaks=maybe").err


def test_what_blocks_make_and_what_is_made_for_them_is_not_the_tests(busted: Any) -> None:
    run = busted.spec(
        """
        local server, port
        describe("a server", function()
          setup(function()
            server = mtev.socket("inet")
            server:bind("127.0.0.1", 0)
            server:listen(8)
            port = select(2, server:sock_name())
            mtev.coroutine_spawn(function()
              local mine = server:own()
              while true do
                local peer = mine:accept()
                mtev.coroutine_spawn(function() peer:own():read("never") end)
              end
            end)
          end)
          local mine
          before_each(function() mine = mtev.socket("inet") end)
          after_each(function() mine:close() end)
          it("is asked", function() assert.equal(0, (mine:connect("127.0.0.1", port))) end)
          it("starts a Proc", function()
            mtev.Proc:new({ path = "/bin/sleep", argv = { "sleep", "5" } }):start()
          end)
          it("starts a child", function()
            start_child({ path = "sh", argv = { "sh", "-c", "echo up >&2; exec sleep 100" }, boot_match = "up" })
          end)
        end)
        """,
        "--leaks=warn",
        "-o",
        "json",
    )
    assert run.status == 0, run.out
    assert [each["message"] for each in run.json()["leaks"]] == [
        "the test left a running program (spec/one_spec.lua:22)",
        "the test left a running program (spec/one_spec.lua:25)",
    ]


SNAPSHOTS = (
    'it("t", function() assert.matches_snapshot({ a = 1, b = { %s } }) assert.matches_snapshot("text", "named") end)'
)


def test_a_value_is_what_its_snapshot_says(busted: Any) -> None:
    missing = busted.spec(SNAPSHOTS % "2", "--ci")
    assert "There is no snapshot 't 1'" in missing.out
    assert busted.run().status == 0
    kept = (busted.directory / "spec/__snapshots__/one_spec.snap").read_text()
    assert '["t: named"] = "text"' in kept
    assert busted.run("--ci").status == 0
    changed = busted.spec(SNAPSHOTS % "3")
    assert changed.status == 2
    assert "Expected the value to be that of the snapshot 't 1'." in changed.out
    assert "[1] = 3" in changed.out
    assert busted.run("--update-snapshots").status == 0
    assert busted.run("--ci").status == 0


def test_a_snapshot_is_the_same_one_at_each_try(busted: Any) -> None:
    source = """
    it("a #flaky", function() assert.matches_snapshot("%s") assert.matches_snapshot("second") end)
    it("b", function()
      local n = 0
      assert.eventually(function() n = n + 1 assert.matches_snapshot("%s" .. (n < 3 and n or "")) end, 0.5)
    end)
    """
    path = busted.directory / "spec/__snapshots__/one_spec.snap"
    assert busted.spec(source % ("old", "old1")).status == 0
    kept = path.read_text()
    assert kept.splitlines()[2:-1] == ['["a #flaky 1"] = "old",', '["a #flaky 2"] = "second",', '["b 1"] = "old11",']
    run = busted.spec(source % ("new", "new"), "-o", "json")
    assert results(run) == {"a #flaky": "failure", "b": "failure"}
    assert path.read_text() == kept


@pytest.mark.parametrize("kept", ["no Lua", "return 1", "error('no')"])
def test_a_file_that_holds_no_snapshots_is_named_and_can_be_taken_again(busted: Any, kept: str) -> None:
    busted.write("spec/__snapshots__/one_spec.snap", kept)
    run = busted.spec(SNAPSHOTS % "2")
    assert run.status == 2
    assert "spec/__snapshots__/one_spec.snap:" in run.out
    assert busted.run("--update-snapshots").status == 0
    assert busted.run("--ci").status == 0


@JOBS
def test_what_failed_is_run_alone(busted: Any, jobs: tuple[str, ...]) -> None:
    busted.write("spec/a_spec.lua", 'it("good", function() end) it("bad", function() assert(io.open("mended")) end)')
    busted.write("spec/b_spec.lua", 'it("other", function() end)')
    assert len(results(busted.run("--only-failed", "-o", "json", *jobs))) == 3
    assert results(busted.run("--only-failed", "-o", "json", *jobs)) == {"bad": "failure"}
    busted.write("mended", "")
    assert results(busted.run("--only-failed", "-o", "json", *jobs)) == {"bad": "success"}
    assert not (busted.directory / ".mtev-busted-failed").exists()


def test_the_slowest_tests_are_listed(busted: Any) -> None:
    out = busted.spec('it("quick", function() end) it("slow", function() mtev.sleep(0.05) end)', "--slowest=1").out
    assert "Slowest:\n" in out
    assert out.partition("Slowest:\n")[2].splitlines()[0].endswith("spec/one_spec.lua @ 1: slow")


def test_watching_chooses_what_changed_and_what_failed(tmp_path: Any) -> None:
    failed = tmp_path / "failed"
    plan = Plan(files=["spec/a_spec.lua", "spec/b_spec.lua", "./spec/c_spec.lua"], failed_file=str(failed))
    assert chosen(plan, {"spec/c_spec.lua"}) == ["./spec/c_spec.lua"]
    failed.write_text("spec/a_spec.lua\tname\n")
    assert chosen(plan, {"spec/b_spec.lua"}) == ["spec/a_spec.lua", "spec/b_spec.lua"]
    assert chosen(plan, {"src/m.lua"}) == plan.files


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_runs_again_when_a_file_changes(busted: Any, number: signal.Signals) -> None:
    path = busted.write("spec/a_spec.lua", 'it("first", function() end)')
    command = [sys.executable, "-m", "mtev_busted.cli", "--watch", "-o", "TAP"]
    with subprocess.Popen(command, cwd=busted.directory, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        assert any("ok 1 - spec/a_spec.lua @ 1: first" in line for line in lines)
        assert any("Waiting for changes" in line for line in lines)
        path.write_text('it("second one", function() end)')
        assert any("ok 1 - spec/a_spec.lua @ 1: second one" in line for line in lines)
        process.send_signal(number)
        assert process.wait(20) == 0


REPORTED = """
local n = 0
it("good", function() end)
it("bad", function() assert.equal(1, 2) end)
it("flaky #flaky", function() n = n + 1 assert.equal(2, n) end)
pending("later")
"""


def test_tap_14_tells_in_yaml(busted: Any) -> None:
    lines = busted.spec(REPORTED, "-o", "tap14").out.splitlines()
    assert lines[0] == "TAP version 14"
    assert "ok 1 - spec/one_spec.lua @ 3: good" in lines
    assert "not ok 2 - spec/one_spec.lua @ 4: bad" in lines
    assert "ok 3 - spec/one_spec.lua @ 5: flaky \\#flaky" in lines
    assert "ok 4 - spec/one_spec.lua @ 6: later # SKIP " in lines
    assert lines[-1] == "1..4"
    start = lines.index("not ok 2 - spec/one_spec.lua @ 4: bad")
    assert lines[start + 1 : start + 5] == ["  ---", "  at:", '    file: "spec/one_spec.lua"', "    line: 4"]
    assert "  failure: |" in lines


def test_json_lines_come_as_things_happen(busted: Any) -> None:
    events = [json.loads(line) for line in busted.spec(REPORTED, "-o", "jsonl").out.splitlines()]
    assert [each["event"] for each in events] == [
        "suite",
        "file",
        "test",
        "failure",
        "test",
        "retry",
        "test",
        "test",
        "end",
    ]
    assert [each["status"] for each in events if each["event"] == "test"] == [
        "success",
        "failure",
        "success",
        "pending",
    ]
    assert events[-1]["failures"] == 1
    assert events[-1]["retries"] == 1


def test_github_gets_an_annotation_at_the_line(busted: Any) -> None:
    lines = [each for each in busted.spec(REPORTED, "-o", "github").out.splitlines() if each.startswith("::")]
    assert lines[0].startswith(
        "::error file=spec/one_spec.lua,line=4,title=bad::spec/one_spec.lua:4: Expected objects to be equal.%0A"
    )
    assert lines[1].startswith("::warning file=spec/one_spec.lua,line=5,title=flaky #flaky (try 1)::")
