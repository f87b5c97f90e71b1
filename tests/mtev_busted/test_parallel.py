"""Files in processes of their own: the order of reports, what a death costs, and that nothing else changes."""

from typing import Any

import pytest

CRASH = 'it("crash", function() print("before") require("ffi").cdef("int raise(int);") require("ffi").C.raise(9) end)'


def suite(busted: Any) -> None:
    busted.write(
        "spec/a_spec.lua",
        """
        describe("a", function()
          before_each(function() mtev.sleep(0.05) end)
          it("prints", function() io.write("from a, no newline ") io.write("and one\\n") end)
          it("fails", function() assert.equal(1, 2) end)
          pending("later")
        end)
        """,
    )
    busted.write("spec/b_spec.lua", CRASH + ' it("never", function() end)')
    busted.write("spec/c_spec.lua", 'it("ends", function() os.exit(3) end) it("goes on", function() end)')
    busted.write("spec/d_spec.lua", 'syntax error it("d", function() end)')
    busted.write("spec/e_spec.lua", 'it("last", function() end)')


def statuses(run: Any) -> list[tuple[str, str]]:
    return [(each["name"], each["status"]) for each in run.json()["results"]]


@pytest.mark.parametrize("jobs", ["1", "2", "5", "0"])
def test_a_death_costs_one_error_and_the_others_are_reported(busted: Any, jobs: str) -> None:
    suite(busted)
    run = busted.run("-j", jobs, "-o", "json")
    assert run.status == 2
    assert statuses(run) == [
        ("a prints", "success"),
        ("a fails", "failure"),
        ("a later", "pending"),
        ("crash", "error"),
        ("ends", "error"),
        ("goes on", "success"),
        ("last", "success"),
    ]
    messages = [each["message"] for each in run.json()["errors"]]
    assert messages[0] == "the process that ran this file was ended by signal 9 (Killed)"
    assert "os.exit(3)" in messages[1]
    assert "spec/d_spec.lua:1: " in messages[2]
    assert len(messages) == 3
    root = busted.junit()
    assert [root.get(name) for name in ("tests", "errors", "failures", "skipped")] == ["8", "3", "1", "1"]
    assert len(root) == 1


@pytest.mark.parametrize("output", ["gtest", "plain", "TAP"])
def test_output_is_whole_and_in_the_order_of_the_files(busted: Any, output: str) -> None:
    for i in range(4):
        busted.write(
            f"spec/{i}_spec.lua",
            f"""
            it("waits", function()
              mtev.sleep({(3 - i) * 0.1})
              io.write("half of {i} ")
              mtev.sleep(0.01)
              print("rest of {i}")
            end)
            """,
        )

    def shown(*options: str) -> list[str]:
        lines = busted.run("-o", output, *options).out.splitlines()
        return [line.partition(" (")[0].partition(" : ")[0] for line in lines if "ran." not in line]

    assert shown("-j", "4") == shown()


def test_random_order_and_insulation_are_those_of_one_process(busted: Any) -> None:
    for name in ("a", "b", "c"):
        busted.write(
            f"spec/{name}_spec.lua",
            f"""
            assert(leaked == nil)
            _G.leaked = true
            for i = 1, 9 do it("{name}" .. i, function() end) end
            """,
        )
    options = ("--shuffle", "--seed=11", "--repeat=2", "-o", "TAP")
    assert busted.run(*options).out == busted.run("-j", "2", *options).out
    assert busted.run(*options).status == 0


def test_a_helper_runs_in_every_worker_and_fails_once(busted: Any) -> None:
    suite(busted)
    busted.write("good.lua", 'require("busted").setup(function() ready = true end) five = 5')
    busted.write("spec/b_spec.lua", 'it("sees", function() assert.equal(5, five) end)')
    assert ("sees", "success") in statuses(busted.run("-j", "2", "-i", "good.lua", "-o", "json"))
    busted.write("bad.lua", "error('no helper')")
    run = busted.run("-j", "3", "-i", "bad.lua", "-o", "json")
    assert run.status == 2
    assert len(run.json()["errors"]) == 1
    assert "no helper" in run.json()["errors"][0]["message"]


def test_a_serial_file_runs_alone(busted: Any) -> None:
    check = """
    it("{0}", function()
      local mine = assert(io.open("{0}.running", "w")) mine:close()
      for _ = 1, 10 do
        mtev.sleep(0.01)
        if "{0}" == "alone" then
          for _, other in ipairs({{ "a", "b", "c" }}) do assert.is_nil(io.open(other .. ".running")) end
        else
          assert.is_nil(io.open("alone.running"))
        end
      end
      os.remove("{0}.running")
    end)
    """
    for name in ("a", "b", "c"):
        busted.write(f"spec/{name}_spec.lua", check.format(name))
    busted.write("spec/alone_spec.lua", "-- #serial" + check.format("alone"))
    run = busted.run("-j", "4", "-o", "json")
    assert run.status == 0, run.out


def test_a_hang_in_c_is_ended_by_the_limit_of_its_test(busted: Any) -> None:
    hang = 'it("hangs", function() require("ffi").cdef("int pause(void);") require("ffi").C.pause() end)'
    busted.write("spec/a_spec.lua", hang)
    busted.write("spec/b_spec.lua", 'it("fine", function() end)')
    run = busted.run("-j", "2", "--timeout=0.2", "-o", "json")
    assert statuses(run) == [("hangs", "error"), ("fine", "success")]
    assert "its process was killed" in run.json()["errors"][0]["message"]
    run = busted.run("--file-timeout=1", "-o", "json")
    assert statuses(run) == [("hangs", "error"), ("fine", "success")]


def test_the_first_failure_stops_the_run_with_bail(busted: Any) -> None:
    busted.write("spec/a_spec.lua", 'it("fails", function() assert(false) end) it("not run", function() end)')
    for i in range(5):
        busted.write(f"spec/b{i}_spec.lua", f'it("b{i}", function() end)')
    run = busted.run("-j", "1", "-bail", "-o", "json")
    assert statuses(run) == [("fails", "failure")]


def test_what_is_wrong_with_the_files_is_told_as_ever(busted: Any) -> None:
    run = busted.run("-j", "2", "nowhere_spec.lua", "-o", "json")
    assert run.status == 2
    assert run.json()["errors"][0]["message"] == "Cannot find file or directory: nowhere_spec.lua"
    for jobs in ((), ("-j", "2")):
        run = busted.spec('it("runs", function() end)', "nowhere_spec.lua", "spec", "-o", "TAP", *jobs)
        assert run.status == 2
        assert run.out.endswith(
            "# Cannot find file or directory: nowhere_spec.lua\nok 2 - spec/one_spec.lua @ 1: runs\n1..2\n"
        )


def test_standard_error_and_zero_bytes_come_through(busted: Any) -> None:
    run = busted.spec('it("t", function() io.stderr:write("to err\\n") print("a\\0b") end)', "-j", "1")
    assert "to err\n" in run.err
    assert "a\0b\n" in run.out


def test_the_number_may_follow_its_letter(busted: Any) -> None:
    run = busted.spec('it("a", function() end)', "-j2", "-o", "TAP")
    assert run.status == 0, run.err
    assert busted.run("-jx").err == "mtev-busted: -jx: no such option\n"


def test_tests_by_the_thousand_are_listed_by_their_time(busted: Any) -> None:
    run = busted.spec('for i = 1, 10000 do it("t" .. i, function() end) end', "-j2", "--slowest=3")
    assert run.status == 0, run.err
    assert len([line for line in run.out.splitlines() if " s  spec/one_spec.lua" in line]) == 3


@pytest.mark.parametrize(
    "source",
    [
        'it("hangs", function() timeout(0.2) sleep(1000) end)',
        'describe("b", function() timeout(0.2) before_each(function() sleep(1000) end) it("h", function() end) end)',
    ],
    ids=["a test that limits itself", "a hook of a block with a limit"],
)
def test_a_hang_in_c_that_has_a_limit_costs_one_error(busted: Any, source: str) -> None:
    busted.write("spec/a_spec.lua", 'local function sleep(n) ffi.cdef("int sleep(int)") ffi.C.sleep(n) end ' + source)
    busted.write("spec/b_spec.lua", 'it("b", function() end)')
    run = busted.run("-j", "1", "-o", "json")
    assert [each["message"] for each in run.json()["errors"]] == [
        "timeout: the file did not go on, its process was killed"
    ]
    assert [each["name"] for each in run.json()["successes"]] == ["b"]


def test_what_looks_like_an_event_is_text(busted: Any) -> None:
    busted.write("spec/b_spec.lua", 'it("b", function() end)')
    run = busted.spec(
        r'it("a", function() print("\1\2Qno event\n\1\2") io.write("\1\2!.x\n") end)', "-j", "1", "-o", "json"
    )
    assert [each["name"] for each in run.json()["successes"]] == ["b", "a"], run.err
    assert run.status == 0
