"""The outputs: gtest, plain, TAP, JSON, JUnit."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from mtev_busted.plan import lua_literal

SOURCE = """\
it("passes", function() end)
it("fails", function() assert.equal(1, 2) end)
it("errs", function() error("oops") end)
pending("waits")
"""


def test_gtest_is_the_default(busted: Any) -> None:
    out = re.sub(r"\(\d+\.\d\d ms( total)?\)", r"(T\1)", busted.spec(SOURCE).out)
    assert out.startswith(
        "[==========] Running tests from scanned files.\n"
        "[----------] Global test environment setup.\n"
        "[----------] Running tests from spec/one_spec.lua\n"
        "[ RUN      ] spec/one_spec.lua @ 1: passes\n"
        "[       OK ] spec/one_spec.lua @ 1: passes (T)\n"
        "[ RUN      ] spec/one_spec.lua @ 2: fails\n"
        "spec/one_spec.lua:2: Expected objects to be equal.\n"
    )
    assert out.endswith(
        "[----------] 4 tests from spec/one_spec.lua (T total)\n\n"
        "[----------] Global test environment teardown.\n"
        "[==========] 4 tests from 1 test file ran. (T total)\n"
        "[  PASSED  ] 1 test.\n"
        "[ SKIPPED  ] 1 test, listed below:\n"
        "[ SKIPPED  ] spec/one_spec.lua @ 4: waits\n"
        "[  FAILED  ] 1 test, listed below:\n"
        "[  FAILED  ] spec/one_spec.lua @ 2: fails\n"
        "[  ERROR   ] 1 error, listed below:\n"
        "[  ERROR   ] spec/one_spec.lua @ 3: errs\n\n"
        " 1 SKIPPED TEST\n 1 FAILED TEST\n 1 ERROR\n"
    )


def test_tap_numbers_its_lines_and_comments_failures(busted: Any) -> None:
    lines = busted.spec(SOURCE, "-o", "TAP").out.splitlines()
    assert lines[0] == "TAP version 13"
    assert lines[-1] == "1..4"
    assert [line for line in lines if line.startswith(("ok", "not ok"))] == [
        "ok 1 - spec/one_spec.lua @ 1: passes",
        "not ok 2 - spec/one_spec.lua @ 2: fails",
        "not ok 3 - spec/one_spec.lua @ 3: errs",
        "ok 4 - spec/one_spec.lua @ 4: waits # SKIP",
    ]
    assert "# spec/one_spec.lua:3: oops" in lines


def test_plain_shows_signs_and_totals(busted: Any) -> None:
    out = busted.spec(SOURCE, "--output=plain").out
    assert out.startswith("+-*.\n1 success / 1 failure / 1 error / 1 pending : ")
    assert "Failure -> spec/one_spec.lua @ 2\nfails\n" in out


def test_json_holds_every_result(busted: Any) -> None:
    document = busted.spec(SOURCE, "-o", "json").json()
    assert [len(document[kind]) for kind in ("successes", "failures", "errors", "pendings")] == [1, 1, 1, 1]
    assert document["failures"][0]["trace"]["currentline"] == 2
    assert [each["status"] for each in document["results"]] == ["success", "failure", "error", "pending"]


def test_junit_can_be_printed(busted: Any) -> None:
    root = etree.fromstring(busted.spec(SOURCE, "-o", "junit").out.encode())
    assert len(root.findall(".//testcase")) == 4
    assert [each.tag for each in root.findall(".//testcase/*")] == ["failure", "error", "skipped"]


@pytest.mark.parametrize("output", ["json", "junit"])
def test_bytes_that_are_no_text_do_not_spoil_the_document(busted: Any, output: str) -> None:
    run = busted.spec(
        'it("\\255\\0 é \\27[1m", function() error("\\237\\160\\128\\239\\191\\191\\1]]>") end)', "-o", output
    )
    if output == "json":
        assert run.json()["results"][0]["name"].startswith("�\0 é")
    else:
        assert etree.fromstring(run.out.encode()).find(".//error") is not None
    assert busted.junit().find(".//error") is not None


@given(st.recursive(st.booleans() | st.integers() | st.text(), st.lists))
def test_every_value_of_a_plan_has_a_lua_literal_of_printable_ascii(value: Any) -> None:
    text = lua_literal(value)
    assert text.isascii()
    assert text.isprintable()


@given(st.binary())
def test_text_crosses_as_its_bytes(data: bytes) -> None:
    from luamtev.bridge import Border

    text = data.decode("utf-8", "surrogateescape")
    assert Border().load(b"return " + lua_literal(text).encode(), "test")() == data


STRANGE = r"""
it("\0\1\27[31m \128\255\127 ]]> <a&\"' %,:\r\n# two \\", function()
  error("  \0 first\n...\n---\n\255\239\191\190")
end)
it("waits", function() pending("# SKIP\1\nnothing") end)
"""


@pytest.mark.parametrize("jobs", [(), ("-j2",)], ids=["one process", "two processes"])
def test_any_text_leaves_reports_well_formed(busted: Any, jobs: tuple[str, ...]) -> None:
    run = busted.spec(STRANGE, "-o", "json", *jobs)
    names = [each["name"] for each in run.json()["results"]]
    assert names == ["\0\1\x1b[31m \ufffd\ufffd\x7f ]]> <a&\"' %,:\r\n# two \\", "waits"]
    assert len(busted.junit().findall(".//testcase")) == 2
    tap = busted.run("-o", "tap14", *jobs).out
    allowed = re.compile("[\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")  # YAML 1.2: c-printable
    assert allowed.fullmatch(tap)
    assert [line for line in tap.splitlines() if re.match("ok|not ok|1[.][.]", line)] == [
        "not ok 1 - spec/one_spec.lua @ 2: ???[31m \ufffd\ufffd? ]]> <a&\"' %,:? \\# two \\\\",
        "ok 2 - spec/one_spec.lua @ 5: waits # SKIP # SKIP? nothing",
        "1..2",
    ]
    for event in busted.run("-o", "jsonl", *jobs).out.splitlines():
        json.loads(event)


def test_what_specs_print_is_kept_byte_for_byte_across_processes(busted: Any) -> None:
    busted.write("spec/one_spec.lua", 'it("p", function() io.write("a\\0b\\0\\n\\0") end)')
    assert "a\0b\0\n\0" in busted.run("-o", "TAP", "-j2").out


@pytest.mark.parametrize("jobs", [(), ("-j1",)], ids=["one process", "a worker"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_specs_print_stays_behind_what_they_have_written(
    busted: Any, jobs: tuple[str, ...], unbuffered: str
) -> None:
    source = 'it("t", function() io.write("a ") mtev.sleep(0.01) print("b", nil) io.write("c ") printf("d\\n") end)'
    busted.write("spec/a_spec.lua", source)
    run = busted.run("-o", "TAP", *jobs, env={"PYTHONUNBUFFERED": unbuffered})
    assert run.out == "TAP version 13\na b\tnil\nc d\n\nok 1 - spec/a_spec.lua @ 1: t\n1..1\n"


def test_the_json_document_has_what_readers_of_busteds_look_for(busted: Any) -> None:
    document = busted.spec('it("a", function() end)\nit("b", function() error("x") end)', "-o", "json").json()
    (success,), (error,) = document["successes"], document["errors"]
    assert success["element"]["trace"] == {
        "source": "@spec/one_spec.lua", "short_src": "spec/one_spec.lua", "currentline": 1,
    }  # fmt: skip
    assert (error["element"]["descriptor"], error["trace"]["currentline"], error["isError"]) == ("it", 2, True)
