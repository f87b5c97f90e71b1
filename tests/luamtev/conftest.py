"""Lua programs in tests: in this process on real loop threads (`lua`), or as the real program (`luamtev`, `web`)."""

import dataclasses
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
from launching import free_port
from looping import on
from webprogram import Web

from luamtev import settings
from luamtev.settings import Options
from luamtev.state import State
from runtime import conf, eventer, log


@dataclasses.dataclass
class Lua:
    """Runs Lua source on loop threads of this process."""

    directory: Path
    states: list[State] = dataclasses.field(default_factory=list)
    statuses: "Queue[int]" = dataclasses.field(default_factory=Queue)
    timeout: float = 120.0

    def __post_init__(self) -> None:
        self.printed_path = self.directory / "printed"
        self.errors_path = self.directory / "errors"
        log.new_stream("test/print", type="file", path=str(self.printed_path))
        log.error.remove_all_outlets()
        log.error.add_outlet(log.new_stream("test/errors", type="file", path=str(self.errors_path)))

    def start(self, source: str, *, thread: int = 0, **options: Any) -> None:
        """Load *source* on a loop thread and call its main; does not wait for it."""
        path = self.directory / f"program{len(list(self.directory.glob('*.lua')))}.lua"
        path.write_text("module(..., package.seeall)\n" + textwrap.dedent(source))
        pool = eventer.pool()
        assert pool is not None

        def run() -> None:
            made = State(Options(**options), terminate=self.statuses.put)
            self.states.append(made)
            made.call(str(path), "main")

        assert pool.threads[thread].post(run)

    def status(self) -> int:
        """The next exit status a program gives; fails the test when there is none."""
        try:
            return self.statuses.get(timeout=self.timeout)
        except Empty:
            pytest.fail(f"no exit status; the logs say: {self.errors()}")

    def __call__(self, source: str, **options: Any) -> str:
        """Run *source*, whose main calls os.exit(0) at its end; returns what it printed."""
        options.setdefault("tragedy_terminates", True)
        self.start(source, **options)
        status = self.status()
        assert status == 0, self.errors()
        return self.printed()

    def printed(self) -> str:
        """All that was printed so far."""
        return self.printed_path.read_bytes().decode("latin-1")

    def errors(self) -> str:
        """All that went to the error log so far."""
        return self.errors_path.read_bytes().decode("latin-1")

    def on_thread(self, function: Callable[[], Any], thread: int = 0) -> Any:
        """Call *function* on a loop thread; returns its result or raises its exception here."""
        pool = eventer.pool()
        assert pool is not None
        return on(pool.threads[thread], function, timeout=self.timeout)

    def close(self) -> None:
        """Close every state on its own thread."""
        for each in self.states:
            self.on_thread(each.close, each.thread.index)
        self.states.clear()


@pytest.fixture
def lua(tmp_path: Path, loops: eventer.Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lua]:
    monkeypatch.setattr(settings, "host", settings.Host(arg=("script", "one"), print_stream="test/print"))
    conf.set_current(conf.loads(b"<test/>"))
    runner = Lua(tmp_path)
    yield runner
    runner.close()


@pytest.fixture
def luamtev(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """The real program: ``luamtev(*arguments, source=...)`` writes the source to main.lua and runs the command line."""

    def run(*arguments: str | bytes, source: str | bytes | None = None, **environment: str) -> Any:
        if source is not None:
            text = textwrap.dedent(source).encode() if isinstance(source, str) else source
            (tmp_path / "main.lua").write_bytes(text)
        return subprocess.run(
            [sys.executable, "-m", "luamtev", *arguments],
            cwd=tmp_path,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )

    return run


@pytest.fixture
def web(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Web]:
    """With the engine "lua", unless a test is parametrized with another."""
    port = free_port()
    made = Web(tmp_path, port, engine=getattr(request, "param", "lua"))
    yield made
    made.kill()
