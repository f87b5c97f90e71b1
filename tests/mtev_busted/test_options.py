"""The options, in both styles, and the file .busted."""

from typing import Any

import pytest

TESTS = """\
describe("one #fast", function()
  it("alpha", function() end)
  it("beta #slow", function() end)
end)
it("gamma #slowly", function() end)
"""


def names(run: Any) -> list[str]:
    assert run.status == 0, run.out + run.err
    return [each["name"] for each in run.json()["results"]]


ALL = ["one #fast alpha", "one #fast beta #slow", "gamma #slowly"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ALL),
        (["--tags=slow"], ALL[1:2]),
        (["-tag", "slow", "-t", "slowly"], ALL[1:]),
        (["--tags=slow,#slowly"], ALL[1:]),
        (["-tag", "fast", "-exclude-tag", "slow"], ALL[:1]),
        (["--exclude-tags", "fast"], ALL[2:]),
        (["-filter", "alpha$"], ALL[:1]),
        (["--filter=al", "--filter=ga"], [ALL[0], ALL[2]]),
        (["-filter-out", "^one"], ALL[2:]),
        (["--name=gamma #slowly"], ALL[2:]),
        (["-file", "spec/one_spec.lua"], ALL),
        (["--", "spec/one_spec.lua"], ALL),
        (["--pattern=^o.*%.lua$"], ALL),
    ],
)
def test_options_choose_tests(busted: Any, options: list[str], expected: list[str]) -> None:
    assert names(busted.spec(TESTS, "-o", "json", *options)) == expected


def test_list_shows_tests_and_runs_nothing(busted: Any) -> None:
    run = busted.spec('setup(function() print("x") end)\nit("a", function() print("x") end)', "-list")
    assert (run.status, run.out) == (0, "spec/one_spec.lua:2: a\n")
    assert not (busted.directory / "test_detail.xml").exists()


def test_bail_stops_at_the_first_failure(busted: Any) -> None:
    source = 'it("a", function() error("x") end)\nit("b", function() end)'
    for option in ("-bail", "--no-keep-going"):
        run = busted.spec(source, option)
        assert (run.status, len(run.lines("[ RUN"))) == (2, 1)


def test_pending_tests_run_with_dontskip_and_vanish_when_suppressed(busted: Any) -> None:
    source = 'pending("p", function() print("ran") end)\nit("a", function() end)'
    assert "ran" in busted.spec(source, "--dontskip").out
    assert len(busted.spec(source, "--suppress-pending").lines("[ RUN")) == 1


def test_a_seed_gives_the_same_random_order_again(busted: Any) -> None:
    busted.write("spec/one_spec.lua", 'for i = 1, 20 do it("t" .. i, function() end) end')
    first = names(busted.run("--shuffle", "--seed=7", "-o", "json"))
    assert first == names(busted.run("--shuffle", "--seed=7", "-o", "json"))
    assert first != names(busted.run("--shuffle", "--seed=8", "-o", "json"))
    assert sorted(first) == sorted(names(busted.run("-o", "json")))
    assert "seed of 7." in busted.run("--shuffle", "--seed=7").out


def test_randomize_shuffles_its_block_only(busted: Any) -> None:
    tests = 'for i = 1, 20 do it("t" .. i, function() end) end'
    run = busted.spec(
        f'describe("r", function() randomize(5) {tests} end)\ndescribe("o", function() {tests} end)', "-o", "json"
    )
    assert names(run)[:20] != [f"r t{i}" for i in range(1, 21)]
    assert names(run)[20:] == [f"o t{i}" for i in range(1, 21)]


def test_sort_orders_by_name(busted: Any) -> None:
    run = busted.spec('it("b", function() end)\nit("a", function() end)', "--sort", "-o", "json")
    assert names(run) == ["a", "b"]


def test_repeat_runs_everything_again_and_remembers_failures(busted: Any) -> None:
    run = busted.spec('it("a", function() _G.n = (_G.n or 0) + 1; assert.equal(2, _G.n) end)', "--repeat=2")
    assert run.out.count("[ RUN") == 2
    assert run.status == 2
    assert len(busted.junit().findall("testsuite")) == 2


def test_a_helper_runs_first_with_busteds_names_and_its_globals_are_global(busted: Any) -> None:
    busted.write("lua-support/init.lua", 'function from_support() return "support" end')
    busted.write(
        "help.lua",
        "given = ...\nassert.is_function(describe)\nbefore_each(function() _G.n = (_G.n or 0) + 1 end)\n"
        'busted.subscribe({ "test", "end" }, function() print("ended") end)',
    )
    run = busted.spec(
        'it("a", function() assert.same({ "support", "arg", 1 }, { from_support(), given, n }) end)',
        "-i", "help.lua", "-Xhelper", "arg",
    )  # fmt: skip
    assert run.status == 0, run.out
    assert "\nended\n" in run.out


def test_options_of_ones_own_reach_the_specs(busted: Any) -> None:
    run = busted.spec(
        'it("a", function() assert.same({ a = "1=2", b = true }, TEST_OPTIONS) end)', "-X", "a=1=2", "-X", "b"
    )
    assert run.status == 0, run.out


def test_the_lua_paths_are_extended(busted: Any) -> None:
    busted.write("src/in_src.lua", "return 1")
    busted.write("lib/in_lib.lua", "return 2")
    run = busted.spec(
        'it("a", function() assert.equal(3, require("in_src") + require("in_lib"))'
        'assert.equal("./c/?.so", package.cpath:match("^[^;]+")) end)',
        "--lpath=./lib/?.lua",
        "--cpath=./c/?.so",
    )
    assert run.status == 0, run.out


def test_the_directory_is_changed_first(busted: Any) -> None:
    busted.write("there/spec/a_spec.lua", 'it("a", function() end)')
    assert busted.run("-C", "there").status == 0
    assert (busted.directory / "there/test_detail.xml").exists()


def test_the_file_dot_busted_sets_options_by_task(busted: Any) -> None:
    busted.write(
        ".busted",
        """
        return {
          _all = { output = "json" },
          default = { ROOT = { "other" } },
          slow = { tags = "slow", ["exclude-tags"] = { "x" }, verbose = true },
        }
        """,
    )
    busted.write("other/o_spec.lua", 'it("other", function() end)')
    busted.write("spec/one_spec.lua", TESTS)
    assert names(busted.run()) == ["other"]
    assert names(busted.run("--run=slow")) == ALL[1:2]
    assert names(busted.run("--run=slow", "--tags=slowly")) == ALL[2:]


def test_a_bad_output_is_told_and_the_tests_run(busted: Any) -> None:
    run = busted.spec(TESTS, "-o", "fancy")
    assert run.status == 2
    assert "Cannot load output library: fancy\nmodule 'fancy' not found:" in run.err


def test_help_and_version_exit_0(busted: Any) -> None:
    assert "--shuffle" in busted.run("-h").out
    assert "busted 2" in busted.run("--version").out


def test_files_are_found_recursively_in_order_without_hidden_ones(busted: Any) -> None:
    for name in ("b_spec.lua", "a/z_spec.lua", ".hidden/x_spec.lua", "a/none.lua", "a_spec.lua"):
        busted.write(f"spec/{name}", 'it("t", function() end)')
    listed = busted.run("--list").out.splitlines()
    assert [line.partition(":")[0] for line in listed] == [
        "spec/a/z_spec.lua",
        "spec/a_spec.lua",
        "spec/b_spec.lua",
    ]
    assert len(busted.run("--list", "--no-recursive").out.splitlines()) == 2
    assert len(busted.run("--list", "--exclude-pattern=^b").out.splitlines()) == 2


def test_the_runner_leaves_no_globals(busted: Any) -> None:
    run = busted.spec(
        """
        it("a", function()
          local names = {}
          for name in pairs(_G) do names[#names + 1] = name end
          table.sort(names)
          print("globals " .. table.concat(names, " "))
        end)
        """
    )
    found = set(run.lines("globals ")[0].split()[1:])
    assert not found & {"describe", "it", "spy", "stub", "mock", "match", "busted", "plan", "use", "main", "say"}
