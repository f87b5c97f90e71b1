"""The specs of busted's own libraries, as Debian's source packages have them: the same result as under Debian's busted.

Sources are fetched by apt, into a directory of the test; a suite that cannot be had is skipped, with the reason.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.soak

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIMIT = 900  # seconds for a suite

# What passes or fails otherwise than under Debian's busted; docs/compatibility.md says why.
EXCEPTIONS = {
    "lua-cliargs": {"cliargs.config_loader #from_yaml works"},
    "lua-penlight": {"pl.utils choose handles nils"},
}


def _apt(directory: Path, release: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run apt-get with lists and sources of its own."""
    sources = directory / f"{release}.list"
    sources.write_text(f"deb-src [signed-by={KEYRING}] http://deb.debian.org/debian {release} main\n")
    lists = directory / f"lists-{release}"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": lists,
        "Dir::Cache": directory / "cache",
        "APT::Sandbox::User": "root",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return subprocess.run(
        ["apt-get", *options, *command], cwd=directory, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that gives the source tree of a package, or skips."""
    for program in ("apt-get", "busted", "luajit"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    directory = tmp_path_factory.mktemp("archive")
    releases = [platform.freedesktop_os_release().get("VERSION_CODENAME", "stable"), "trixie", "stable"]
    updated: dict[str, bool] = {}

    def tree(package: str) -> Path:
        problems = []
        for release in dict.fromkeys(releases):
            if release not in updated:
                updated[release] = _apt(directory, release, "update").returncode == 0
            done = _apt(directory, release, "source", "--tar-only", package)
            if archives := list(directory.glob(f"{package}_*.orig.tar.*")):
                target = directory / package
                target.mkdir()
                subprocess.run(["tar", "xf", archives[0], "-C", target, "--strip-components=1"], check=True)
                return target
            problems.append((done.stderr.strip().splitlines() or [f"{release}: nothing found"])[0])
        pytest.skip(f"the source of {package} cannot be had: {'; '.join(problems)}")

    return tree


def _output(tree: Path, *command: str) -> str:
    """What a runner of specs writes for the suite in *tree*."""
    environment = os.environ | {"JUNIT_OUTPUT_FILE": ""}
    done = subprocess.run(
        command, cwd=tree, capture_output=True, check=False, timeout=LIMIT, env=environment, input=b""
    )
    return done.stdout.decode(errors="replace")


Names = tuple[Counter[str], Counter[str]]
"""The full names of the tests that passed, and of those that did not."""


def _debian(tree: Path) -> Names:
    """The results under Debian's busted on LuaJIT."""
    out = _output(tree, "busted", "--lua=/usr/bin/luajit", "-o", "TAP")
    lines = re.findall(r"^(ok|not ok) \d+ - (?!# SKIP)(.*)$", out, re.M)
    assert lines, out
    return (
        Counter(name.strip() for status, name in lines if status == "ok"),
        Counter(name.strip() for status, name in lines if status != "ok"),
    )


def _ours(tree: Path) -> Names:
    """The results under mtev-busted."""
    document = json.loads(
        _output(tree, sys.executable, "-m", "mtev_busted.cli", "-o", "json").rstrip().rpartition("\n")[2]
    )
    wrong = [each["name"].strip() for kind in ("failures", "errors") for each in document[kind]]
    return Counter(each["name"].strip() for each in document["successes"]), Counter(wrong)


@pytest.mark.parametrize(
    "package",
    [
        "lua-luassert",
        "lua-busted",
        "lua-say",
        "lua-cliargs",
        "lua-mediator",
        "lua-penlight",
        "lua-inspect",
        "lua-argparse",
    ],
)
def test_a_suite_has_the_result_it_has_under_debians_busted(archive: Any, package: str) -> None:
    tree = archive(package)
    passed, failed = _debian(tree)
    our_passed, our_failed = _ours(tree)
    known = EXCEPTIONS.get(package, set())
    assert {name for name in our_failed if name not in failed} <= known
    assert {name for name in failed if name not in our_failed} <= known
    missing, more = passed - our_passed, our_passed - passed
    assert set(missing) | set(more) <= known
    print(f"{package}: {sum(our_passed.values())} passed, {sum(passed.values())} under Debian's busted")
