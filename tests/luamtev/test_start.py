"""A start imports what every program needs, and no more: what an empty module pays for."""

import subprocess
import sys
from pathlib import Path

EMPTY = "module(..., package.seeall) function main() os.exit(0) end"

NEVER = {
    *("argparse", "asyncio", "cryptography", "difflib", "dns", "email", "glob", "h2", "html", "http", "httptools"),
    *("json", "lmdb", "logging.handlers", "lz4", "multiprocessing", "ngh2", "pcre2", "pika", "pkg_resources"),
    *("requests", "unittest", "urllib.request", "wsproto", "xml", "zoneinfo"),
    *(
        "luamtev.asking",
        "luamtev.checking",
        "luamtev.scripts",
        "luamtev.stacks",
        "luamtev.web",
        "luamtev.modules.replacing",
    ),
    *("luamtev.modules.watcher", "luamtev.modules.lua_web", "mtev_busted"),
    *("runtime.cluster", "runtime.conf._changes", "runtime.http", "runtime.modules.amqp", "runtime.modules.fq"),
    *("runtime.net", "runtime.ops", "runtime.util", "runtime.watchdog", "runtime.zipkin"),
}
"""For those who use it."""

STACK = {"gevent", "greenlet", "lupa", "lxml", "luamtev.program", "runtime.main"}


def imported(directory: Path, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "luamtev", *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def test_an_empty_module_pays_for_no_more_than_it_needs(tmp_path: Path) -> None:
    (tmp_path / "main.lua").write_text(EMPTY)
    found = imported(tmp_path, "main.lua")
    assert found >= STACK
    assert not {each for each in found if each in NEVER or each.partition(".")[0] in NEVER}
    assert len(found) < 330, sorted(found)


def test_what_is_said_without_the_stack_does_not_import_it(tmp_path: Path) -> None:
    for argument in ("--version", "--help"):
        found = imported(tmp_path, argument)
        assert "luamtev.cli" in found
        assert not {each for each in found if each.partition(".")[0] in {"gevent", "lupa", "lxml"}}
        assert {each for each in found if each.startswith("runtime.")} == {"runtime.signals"}
