"""Coverage: what counts lines changes nothing else, which files count, and the reports."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

import mtev_busted

JOBS = pytest.mark.parametrize("jobs", [(), ("-j", "2")], ids=["one process", "two processes"])
HERE = Path(__file__).parent
LUA = Path(mtev_busted.__file__).parent / "lua"

MODULE = """
local M = {}
function M.f(x)
  if x then
    return 1
  end
  return 2
end
return M
"""


@JOBS
def test_coverage_is_counted_and_written(busted: Any, jobs: tuple[str, ...]) -> None:
    busted.write("src/m.lua", MODULE.lstrip())
    busted.write("src/skipped.lua", "return 1")
    busted.write(".luacov", 'return { exclude = { "src/skipped$" } }')
    busted.write("spec/b_spec.lua", 'local m = require("m") it("b", function() m.f(true) timeout(5) m.f(true) end)')
    run = busted.spec('local m = require("m") require("skipped") it("f", function() m.f(true) end)', "-c", *jobs)
    assert run.status == 0, run.out
    assert "src/m.lua       7       1   85.7%  6\n" in run.out
    lcov = (busted.directory / "lcov.info").read_text()
    assert "DA:4,3\n" in lcov
    assert "DA:6,0\n" in lcov
    assert "skipped" not in lcov
    document = etree.parse(str(busted.directory / "cobertura.xml")).getroot()
    assert [each.get("filename") for each in document.iter("class")] == ["src/m.lua"]
    assert document.find(".//line[@number='4']").get("hits") == "3"


def test_coverage_is_had_from_dot_busted_too(busted: Any) -> None:
    busted.write("src/m.lua", MODULE.lstrip())
    busted.write(".busted", "return { default = { coverage = true } }")
    run = busted.spec('it("f", function() require("m").f() end)')
    assert "src/m.lua" in run.out
    run = busted.run("--no-coverage")
    assert "src/m.lua" not in run.out


def luamtev(*arguments: object) -> str:
    """What luamtev prints."""
    return subprocess.run(
        [sys.executable, "-m", "luamtev", *map(str, arguments)], capture_output=True, text=True, check=True
    ).stdout


def test_code_that_counts_does_what_it_did_and_counts_what_a_hook_sees() -> None:
    _, hooked, counted, full, lines = luamtev(HERE / "count_lines.lua", LUA, HERE / "statements.lua").split("----\n")
    assert counted == hooked
    assert full == "47\t1\tnil\n"  # at the last line no slots are left
    counts = {int(line): (int(hook), int(own)) for line, hook, own in map(str.split, lines.splitlines())}
    assert {line for line, (_, own) in counts.items() if own > 0} == {
        line for line, (hook, own) in counts.items() if hook and own >= 0
    }
    unseen = [line for line, (_, own) in counts.items() if own < 0]  # go on with all results of the call before
    source = (HERE / "statements.lua").read_text().splitlines()
    assert [source[line - 1].strip() for line in unseen] == ["3 })", "..."]

    def count(text: str) -> int:
        return counts[source.index(text) + 1][1]

    fib = source.index("  if n < 2 then return n end") + 1
    assert counts[fib][1] == counts[fib][0]
    assert count("  t.a = t.a + i") == 10
    assert count("for k, v in ipairs({ 1, 2, 3 }) do t.b = v end") == 4
    assert count("  if i == 3 then goto out end") == 3
    assert count('  print("no")') == 0
    assert count("    i = i * 1") == 100


def test_every_lua_file_can_be_read_and_counted(tmp_path: Path) -> None:
    root = HERE.parents[1]
    files = [
        each
        for where in ("luamtev", "mtev_busted", "spec", "tests", "benchmarks")
        for each in (root / where).rglob("*.lua")
    ]
    assert len(files) > 100
    (tmp_path / "all.lua").write_text("""
        local directory, list = arg[2], arg[3]
        local use = assert(loadfile(directory .. "/use.lua"))(directory .. "/")
        for path in io.lines(list) do
          local dump = string.dump(assert(loadfile(path)))
          assert(use("bytecode").write(use("bytecode").read(dump)) == dump, path)
          local lines = use("counters").lines()
          assert(use("counters").counted(loadfile(path), lines) ~= nil, path)
          assert(next(lines), path)
        end
        print("all of them")
        function main() os.exit(0) end
    """)
    (tmp_path / "list").write_text("".join(f"{each}\n" for each in files))
    assert luamtev(tmp_path / "all.lua", LUA, tmp_path / "list") == "all of them\n"


def test_a_line_beyond_what_an_instruction_holds_runs_uncounted(busted: Any) -> None:
    busted.write("src/long.lua", "local x = 0\n" + "\n" * 40000 + "x = x + 1\nreturn x\n")
    run = busted.spec('it("l", function() assert.equal(1, require("long")) end)', "-c")
    assert run.status == 0, run.out
    assert "src/long.lua       1       0  100.0%\n" in run.out


def test_chunks_that_are_loaded_in_other_ways_count(busted: Any) -> None:
    busted.write("lib/a.lua", "return 1\n")
    busted.write("lib/b.lua", "local x = ...\nreturn x\n")
    busted.write("lib/e.lua", "return function(x)\n  return x + 1\nend\n")
    run = busted.spec(
        """
        it("loads", function()
          dofile("lib/a.lua")
          assert.equal(7, assert(loadfile("lib/b.lua"))(7))
          assert.equal(8, assert(load(string.dump(assert(loadfile("lib/b.lua")))))(8))
          assert.equal(9, assert(load(string.dump(assert(load("return ...")))))(9))
          assert.equal(5, assert(load(string.dump(assert(loadfile("lib/e.lua"))())))(4))
          assert.equal(9, setfenv(assert(load("return y", "@lib/c.lua", "t", { y = 9 })), { y = 9 })())
          assert.equal(9, load("return y", "@lib/c.lua", "t", { y = 9 })())
          assert.is_nil((load("return (", "@lib/d.lua")))
          assert.is_nil((loadfile("lib/missing.lua")))
          assert.error_matches(function() dofile("lib/missing.lua") end, "lib/missing.lua")
          assert.error_matches(function() require("missing.module") end, "no file './missing/module.lua'")
        end)
        """,
        "-c",
    )
    assert run.status == 0, run.out
    lcov = (busted.directory / "lcov.info").read_text()
    assert [line.rpartition("/")[2] for line in lcov.splitlines() if line.startswith(("SF", "DA"))] == [
        "a.lua", "DA:1,1", "b.lua", "DA:1,2", "DA:2,2", "e.lua", "DA:2,1", "DA:3,1",
    ]  # fmt: skip


def test_a_module_that_does_not_load_says_why(busted: Any) -> None:
    busted.write("src/broken.lua", "return (\n")
    source = 'it("b", function() require("broken") end)'
    with_coverage, without = busted.spec(source, "-c", "-o", "TAP"), busted.spec(source, "-o", "TAP")
    assert "error loading module 'broken' from file './src/broken.lua':" in without.out
    assert with_coverage.out.splitlines()[:5] == without.out.splitlines()[:5]


@JOBS
@pytest.mark.parametrize(
    ("config", "files"),
    [
        ('include = { "m$" }', ["src/m.lua"]),
        ('return { include = { "src/" }, exclude = { "n" } }', ["src/m.lua"]),
        ('return { exclude = { "^src/m$" } }', ["src/n.lua"]),
        ('return { exclude = { "^./src/m$" } }', ["src/n.lua"]),
        ("return {}", ["src/m.lua", "src/n.lua"]),
    ],
)
def test_patterns_of_luacov_choose_files(busted: Any, jobs: tuple[str, ...], config: str, files: list[str]) -> None:
    busted.write("src/m.lua", "return 1\n")
    busted.write("src/n.lua", "return 2\n")
    busted.write(".luacov", config)
    run = busted.spec('it("r", function() require("m") require("n") end)', "-c", *jobs)
    assert run.status == 0, run.out
    assert [line.split()[0] for line in run.lines("src/")] == files


@JOBS
@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("return {", "coverage: .luacov:1: unexpected symbol near '<eof>'"),
        ("error('no', 0)", "coverage: no"),
        ('return { include = { "[" } }', "coverage: .luacov: include: '[': malformed pattern (missing ']')"),
        ('return { exclude = "x" }', "coverage: .luacov: exclude: a list of patterns is expected"),
    ],
)
def test_a_bad_configuration_is_an_error_of_the_run(busted: Any, jobs: tuple[str, ...], config: str, said: str) -> None:
    busted.write(".luacov", config)
    run = busted.spec('it("r", function() end)', "-c", "-o", "json", *jobs)
    assert run.status == 2
    assert [each["message"] for each in run.json()["errors"]] == [said]


def test_a_crash_costs_the_counts_of_its_file_only(busted: Any) -> None:
    busted.write("src/m.lua", MODULE.lstrip())
    busted.write("spec/a_spec.lua", 'it("a", function() require("m").f(true) end)')
    busted.write("spec/b_spec.lua", 'it("b", function() ffi.cdef("int raise(int);") ffi.C.raise(9) end)')
    run = busted.run("-c", "-j", "1", "-o", "json", "spec")
    assert len(run.json()["errors"]) == 1
    assert "DA:4,1\n" in (busted.directory / "lcov.info").read_text()


@pytest.mark.parametrize("compiler", ["", "hotexit=1"])
def test_luamtev_itself_does_what_it_did_when_all_of_it_counts(tmp_path: Path, compiler: str) -> None:
    specs = HERE.parents[1] / "spec"
    (tmp_path / "luacov").write_text('return { include = { "^luamtev/lua/" } }')
    reports = [f"--{name}={tmp_path / name}" for name in ("lcov", "cobertura")]
    done = subprocess.run(
        [sys.executable, "-m", "mtev_busted.cli", "-o", "TAP", f"-e=require('jit.opt').start('{compiler or 3}')"]
        + ["--coverage", f"--coverage-config-file={tmp_path / 'luacov'}", *reports]
        + [str(specs / f"{name}_spec.lua") for name in ("bignum", "http_response", "json", "socket", "ffi/structures")],
        cwd=specs.parent,
        env=os.environ | {"JUNIT_OUTPUT_FILE": "", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = {each.partition(":")[2] for each in (tmp_path / "lcov").read_text().splitlines() if each[:3] == "SF:"}
    modules = {f"{specs.parent}/luamtev/lua/{each}.lua" for each in ("kernel", "mtev/json", "ffi_mtev/init", "init")}
    assert modules <= counted


@pytest.mark.parametrize("config", ["", 'return { exclude = { "mtev/xml" } }', 'return { include = { "^spec" } }'])
def test_luamtev_itself_counts_only_where_it_is_included_by_name(busted: Any, config: str) -> None:
    path = busted.directory
    busted.write("luacov", config)
    busted.write("one_spec.lua", 'it("t", function() assert(mtev.tojson({})) end)')
    options = [f"--{name}={path / name}" for name in ("lcov", "cobertura")]
    options += ["-o", "TAP", "-c", f"--coverage-config-file={path / 'luacov'}", str(path / "one_spec.lua")]
    done = subprocess.run(
        [sys.executable, "-m", "mtev_busted.cli", *options],
        cwd=HERE.parents[1],
        env=os.environ | {"JUNIT_OUTPUT_FILE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].split() == ["Total", "0", "0", "100.0%"]
