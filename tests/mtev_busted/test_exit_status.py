"""The exit status and the JUnit file of the runs there are."""

from typing import Any

import pytest

PASSING = 'it("passes", function() assert.is_true(true) end)\n'


def counts(root: Any) -> dict[str, int]:
    return {name: int(root.get(name)) for name in ("tests", "errors", "failures", "skipped")}


def test_all_tests_passing_exits_0(busted: Any) -> None:
    run = busted.spec(PASSING + 'pending("later")')
    assert run.status == 0
    assert "[  PASSED  ] 1 test." in run.out
    assert counts(busted.junit()) == {"tests": 2, "errors": 0, "failures": 0, "skipped": 1}


def test_one_failure_exits_2(busted: Any) -> None:
    run = busted.spec(PASSING + 'describe("d", function() it("f", function() assert.equal(1, "<&>\\1") end) end)')
    assert run.status == 2
    assert run.lines("[  FAILED  ]")[0].startswith("[  FAILED  ] spec/one_spec.lua @ 2: d f (")
    root = busted.junit()
    assert counts(root) == {"tests": 2, "errors": 0, "failures": 1, "skipped": 0}
    case = root.find(".//testcase[failure]")
    assert (case.get("classname"), case.get("name")) == ("spec/one_spec.lua:2", "d f")
    assert "Expected objects to be equal" in case.find("failure").get("message")
    assert root.find("testsuite").get("package") == "busted"


def test_an_error_in_a_test_exits_2_and_is_no_failure(busted: Any) -> None:
    run = busted.spec('it("e", function() error("oops") end)')
    assert run.status == 2
    assert "spec/one_spec.lua:1: oops" in run.out
    assert counts(busted.junit()) == {"tests": 1, "errors": 1, "failures": 0, "skipped": 0}


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ('describe("d", function() error("oops") end)', "one_spec.lua @ 2: d describe"),
        ('error("oops")', "spec/one_spec.lua"),
        ('teardown(function() error("oops") end)', "one_spec.lua @ 2: teardown"),
        ('after_each(function() error("oops") end)', "one_spec.lua @ 2: after_each"),
    ],
)
def test_an_error_outside_tests_exits_2(busted: Any, source: str, where: str) -> None:
    run = busted.spec(PASSING + source)
    where = where.replace(" teardown", " lazy_teardown")
    assert run.status == 2
    assert any(line.endswith(where) for line in run.lines("[  ERROR   ] "))
    root = busted.junit()
    assert int(root.get("errors")) == 1
    assert "oops" in root.find(".//error").get("message")


def test_a_file_that_does_not_load_exits_2_and_the_others_run(busted: Any) -> None:
    busted.write("spec/bad_spec.lua", "it(\n")
    run = busted.spec(PASSING)
    assert run.status == 2
    assert "spec/bad_spec.lua:2: unexpected symbol near '<eof>'" in run.out
    assert "[  PASSED  ] 1 test." in run.out
    root = busted.junit()
    assert counts(root) == {"tests": 2, "errors": 1, "failures": 0, "skipped": 0}
    assert root.find(".//testcase[error]").get("classname") == "spec/bad_spec.lua:1"


def test_no_files_found_exits_2(busted: Any) -> None:
    busted.write("spec/readme.txt", "")
    run = busted.run()
    assert run.status == 2
    assert "No test files found matching Lua pattern: _spec" in run.out
    assert counts(busted.junit()) == {"tests": 1, "errors": 1, "failures": 0, "skipped": 0}


def test_a_path_that_does_not_exist_exits_2_and_is_named(busted: Any) -> None:
    run = busted.run("nowhere")
    assert run.status == 2
    assert "Cannot find file or directory: nowhere" in run.out


def test_a_helper_that_fails_exits_2(busted: Any) -> None:
    busted.write("help.lua", 'error("no help")')
    busted.write("spec/one_spec.lua", PASSING)
    run = busted.run("--helper=help.lua")
    assert run.status == 2
    assert "helper help.lua: help.lua:1: no help" in run.out


def test_os_exit_in_a_spec_is_an_error_of_its_test(busted: Any) -> None:
    run = busted.spec('it("leaves", function() os.exit(0) end)\n' + PASSING)
    assert run.status == 2
    assert "os.exit(0) in a spec would end the run" in run.out
    assert "[  PASSED  ] 1 test." in run.out


def test_the_junit_file_goes_where_the_environment_says(busted: Any) -> None:
    busted.write("spec/one_spec.lua", PASSING)
    assert busted.run(env={"JUNIT_OUTPUT_FILE": "own.xml"}).status == 0
    assert counts(busted.junit("own.xml"))["tests"] == 1
    assert not (busted.directory / "test_detail.xml").exists()
    assert busted.run(env={"JUNIT_OUTPUT_FILE": ""}).status == 0
    assert not (busted.directory / "test_detail.xml").exists()


def test_a_junit_file_that_cannot_be_written_is_named_and_exits_2(busted: Any) -> None:
    busted.write("spec/one_spec.lua", PASSING)
    run = busted.run(env={"JUNIT_OUTPUT_FILE": "no/such/dir.xml"})
    assert run.status == 2
    assert "cannot write no/such/dir.xml" in run.err
