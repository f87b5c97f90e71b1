"""pytest collects ``*_spec.lua``, an item for each test in it, and has mtev-busted run them, a process for each file.

To be enabled by ``-p mtev_busted.pytest_plugin``.  The tests of a file are listed in a process of their own at
collection, and run together when the first of them is due; ``-k``, ``--lf``, ``-x`` and the like choose as usual.  With
pytest-xdist's ``-n`` the tests of a file stay together: where nothing else is said, files are what is handed out.
Durations are those of the tests themselves, a try that is not the first stands behind the result, what a test leaves
behind is a warning.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mtev_busted import coverage

TIMEOUT_HELP = "seconds after which a test in a *_spec.lua is stopped"
FILE_TIMEOUT_HELP = "seconds after which the process that runs a *_spec.lua is ended"
SNAPSHOTS_HELP = "take snapshots that are missing (the default), take all again, or fail for those that are missing"
COVERAGE_HELP = (
    "count Lua lines: lcov.info and cobertura.xml of all, and FILE.lcov and FILE.xml of each file of specs, go there"
)


TRIES = "tries"
"""The property of a report, of JUnit's too, that says how often a test was tried."""


class SpecWarning(UserWarning):
    """What a test of a spec leaves behind."""


class SpecFailure(Exception):
    """A test of a spec failed, or could not be run; the message is what mtev-busted says of it."""


def _at_least(kind: type[int] | type[float], least: float) -> Callable[[str], float]:
    """What reads a number of an option."""
    name = "whole number" if kind is int else "number"

    def read(given: str) -> float:
        try:
            value = kind(given)
        except ValueError:
            value = None
        if value is None or not least <= value < 2**53:
            raise argparse.ArgumentTypeError(f"a {name} of at least {least:g} is expected, got '{given}'")
        return value

    return read


def _pair(given: str) -> str:
    if not given or given.startswith("="):
        raise argparse.ArgumentTypeError(f"K or K=V is expected, got '{given}'")
    return given


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of mtev-busted that pytest has none for."""
    group = parser.getgroup("mtev-busted", "specs in Lua")
    seconds = _at_least(float, 0.001)
    group.addoption("--spec-timeout", type=seconds, default=None, metavar="SECONDS", help=TIMEOUT_HELP)
    group.addoption("--spec-file-timeout", type=seconds, default=None, metavar="SECONDS", help=FILE_TIMEOUT_HELP)
    group.addoption(
        "--spec-retry", type=_at_least(int, 0), default=None, metavar="N", help="try a test that failed N times more"
    )
    group.addoption("--spec-leaks", choices=("warn", "fail"), default=None, help="tell of what a test leaves behind")
    group.addoption("--spec-revert", action="store_true", help="take spies and stubs back after each test")
    group.addoption("--spec-snapshots", choices=("take", "update", "check"), default="take", help=SNAPSHOTS_HELP)
    group.addoption("--spec-coverage", default=None, metavar="DIRECTORY", help=COVERAGE_HELP)
    group.addoption(
        "--spec-option", type=_pair, action="append", default=[], metavar="K[=V]", help="TEST_OPTIONS.K = V (or true)"
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Have pytest-xdist, if it is used and was not told how, hand out whole files.

    Raises :exc:`pytest.UsageError` where coverage cannot be written."""
    directory = config.getoption("--spec-coverage")
    if directory:
        try:
            Path(config.rootpath, directory).mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise pytest.UsageError(f"--spec-coverage: {directory}: {failure.strerror}") from None
    if getattr(config.option, "dist", None) == "load" and not hasattr(config, "workerinput"):
        config.option.dist = "loadfile"


def _options(config: pytest.Config) -> list[str]:
    """What the command line of pytest says to mtev-busted."""
    options = [f"--X={each}" for each in config.getoption("--spec-option")]
    for name in ("timeout", "file-timeout", "retry", "leaks"):
        value = config.getoption(f"--spec-{name}")
        if value is not None:
            options.append(f"--{name}={value}")
    if config.getoption("--spec-revert"):
        options.append("--auto-revert")
    options += {"take": [], "update": ["--update-snapshots"], "check": ["--ci"]}[config.getoption("--spec-snapshots")]
    return options


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have the report of a spec's test say how long the test took, not how long its file was waited for."""
    report = yield
    if isinstance(item, SpecItem) and call.when == "call" and item.took is not None:
        report.duration = item.took
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """Show the number of the try where it is not the first."""
    tries = dict(getattr(report, "user_properties", ())).get(TRIES)
    if report.when != "call" or tries is None or report.skipped:
        return None
    category, letter = ("passed", ".") if report.passed else ("failed", "F")
    return category, letter, f"{category.upper()} (try {tries})"


def _counts_file(config: pytest.Config, spec: str) -> Path:
    """The lcov file for *spec*, a path relative to the root directory."""
    name = spec.replace("/", "-").removesuffix(".lua")
    return Path(config.rootpath, config.getoption("--spec-coverage"), f"{name}.lcov")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write what the specs of this run have covered, in whichever process: two reports of all, and a summary."""
    if not config.getoption("--spec-coverage"):
        return
    results = (each for kind in terminalreporter.stats.values() for each in kind)
    specs = dict.fromkeys(each.location[0] for each in results if isinstance(each, pytest.TestReport))
    counted = [
        path for path in (_counts_file(config, each) for each in specs if each.endswith("_spec.lua")) if path.exists()
    ]
    directory = Path(config.rootpath, config.getoption("--spec-coverage"))
    reports = directory / "lcov.info", directory / "cobertura.xml"
    terminalreporter.section("Lua coverage")
    for line in coverage.write(coverage.merged(counted), config.rootpath, *reports):
        terminalreporter.write_line(line)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "SpecFile | None":
    """Collect *file_path* if it is a spec."""
    if file_path.name.endswith("_spec.lua"):
        return SpecFile.from_parent(parent, path=file_path)
    return None


@dataclass
class Results:
    """What a run of some tests of a file said: results by full name, in order."""

    by_name: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    leaks: dict[tuple[str, int], list[str]] = field(default_factory=dict)  # by full name and line
    elsewhere: str = ""  # errors that belong to no test
    output: str = ""


def _can_be_asked_for(name: str) -> bool:
    """Whether mtev-busted can be told to run the test *name* alone: U+FFFD stands for bytes that are no text."""
    return name != "" and "\0" not in name and "\ufffd" not in name


class SpecFile(pytest.File):
    """A file of specs."""

    def collect(self) -> Iterator["SpecItem"]:
        """An item for each test.  Raises :exc:`SpecFailure` if the file does not load."""
        listing = self._document(["--list"])
        if listing["errors"]:
            raise SpecFailure("\n".join(each["message"] for each in listing["errors"]))
        self.results: Results | None = None
        self.chosen: list[SpecItem] = []
        self.number = len(listing["tests"])
        seen: dict[str, int] = {}
        for test in listing["tests"]:
            name = test["name"] or "(no name)"
            seen[name] = seen.get(name, 0) + 1
            label = name if seen[name] == 1 else f"{name} [{seen[name]}]"
            yield SpecItem.from_parent(self, name=label, full_name=test["name"], line=test["line"])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What went wrong at collection, without Python's stack."""
        return str(excinfo.value) if isinstance(excinfo.value, SpecFailure) else super().repr_failure(excinfo)

    def result(self, item: "SpecItem") -> dict[str, Any]:
        """The result of *item*: status and details.  The first call runs every selected test of the file."""
        if self.results is None:
            self.chosen = [each for each in item.session.items if isinstance(each, SpecItem) and each.parent is self]
            self.results = self._run(self.chosen)
        found = self.results
        if queue := found.by_name.get(item.full_name):
            result = queue.pop(0)
            if found.elsewhere and item is self.chosen[-1] and result["status"] in ("success", "pending"):
                return {"status": "error", "details": f"outside the tests of this file:\n{found.elsewhere}"}
            return result
        reason = found.elsewhere or "mtev-busted ended without a result for this test"
        return {"status": "error", "details": f"{reason}\n{found.output}".strip()}

    def leaks(self, item: "SpecItem") -> list[str]:
        """What *item*, which has run, is said to have left behind."""
        return self.results.leaks.get((item.full_name, item.line), []) if self.results else []

    def _run(self, items: Sequence["SpecItem"]) -> Results:
        """Run *items*, or all tests where the names of these are not known to the byte, or cannot be told."""
        names = dict.fromkeys(each.full_name for each in items)
        chosen = (
            [f"--name={name}" for name in names]
            if len(items) < self.number and all(map(_can_be_asked_for, names))
            else []
        )
        options = chosen + _options(self.config) + self._coverage()
        options.append("--jobs=1")  # what ran before a crash has its result
        try:
            document = self._document(options)
        except SpecFailure as failure:
            return Results(elsewhere=str(failure))
        results = Results(output=document["output"])
        for result in document["results"]:
            results.by_name.setdefault(result["name"], []).append(result)
        for leak in document["leaks"]:
            place = leak["name"], leak["trace"]["currentline"]
            results.leaks.setdefault(place, []).append(leak["message"])
        results.elsewhere = "\n".join(
            f"{entry['title']}\n{entry.get('details', '')}"
            for entry in (*document["failures"], *document["errors"])
            if entry["element"]["descriptor"] not in ("it", "pending")
        )
        return results

    def _coverage(self) -> list[str]:
        directory = self.config.getoption("--spec-coverage")
        if not directory:
            return ["--no-coverage"]  # .busted may ask for it: files would write over each other's
        target = _counts_file(self.config, os.path.relpath(self.path, self.config.rootpath))
        target.unlink(missing_ok=True)  # that of an earlier run
        return ["--coverage", f"--lcov={target}", f"--cobertura={target.with_suffix('.xml')}"]

    def _document(self, options: list[str]) -> dict[str, Any]:
        """Run mtev-busted on the file; the JSON it ends with, and under ``output`` what came before."""
        command = [sys.executable, "-m", "mtev_busted.cli", "--output=json", *options, "--", str(self.path)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=self.config.rootpath,
            env={**os.environ, "JUNIT_OUTPUT_FILE": ""},
        )
        before, _, last = done.stdout.rstrip("\n").rpartition("\n")
        try:
            document = json.loads(last)
        except ValueError:
            text = (done.stdout + done.stderr).strip()
            raise SpecFailure(f"mtev-busted ended with status {done.returncode}\n{text}") from None
        if not isinstance(document, dict):
            raise SpecFailure(f"mtev-busted wrote no result\n{done.stdout}")
        document["output"] = (before + "\n" + done.stderr).strip()
        return document


class SpecItem(pytest.Item):
    """A test of a spec."""

    def __init__(self, *, full_name: str, line: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.full_name = full_name
        self.line = line
        self.took: float | None = None

    def runtest(self) -> None:
        """Pass, skip or raise :exc:`SpecFailure` as the test did."""
        assert isinstance(self.parent, SpecFile)
        result = self.parent.result(self)
        self.took = result.get("duration")
        if result.get("tries", 1) > 1:
            self.user_properties.append((TRIES, result["tries"]))
            if result["status"] == "success":
                self.add_report_section("call", "tries", result["details"])
        for leak in self.parent.leaks(self):
            self.warn(SpecWarning(leak))
        if result["status"] == "pending":
            pytest.skip(result["details"] or "pending")
        if result["status"] != "success":
            raise SpecFailure(result["details"])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What the test said, without Python's stack."""
        return str(excinfo.value) if isinstance(excinfo.value, SpecFailure) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the test is."""
        return self.path, self.line - 1, self.name
