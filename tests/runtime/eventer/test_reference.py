"""The examples of docs/reference/eventer.md hold, and the page knows every key."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import conf, eventer

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "eventer.md").read_text()


def test_the_configuration_loads() -> None:
    example = re.findall(r"^```xml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[0]
    eventer.init(conf.loads(example.encode()))
    try:
        assert [(each.name, each.concurrency, each.timeout) for each in eventer.pools()] == [
            ("default", 4, 0.0),
            ("slow", 2, 30.0),
        ]
        queue = eventer.jobq_retrieve("disk")
        assert queue is not None
        assert queue.figures()["desired_concurrency"] == 8
        assert eventer.settings().loop_threshold == 0.05
    finally:
        eventer.stop()


def test_what_the_page_calls_is_there() -> None:
    for name in set(re.findall(r"`(\w+)\(", PAGE)) - {"callback", "back", "work", "report", "done"}:
        assert hasattr(eventer, name), name


def test_everything_public_can_be_imported() -> None:
    assert sorted(eventer.__all__) == sorted(set(eventer.__all__))
    for name in eventer.__all__:
        assert getattr(eventer, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = eventer.nothing


def test_a_start_imports_only_what_it_needs() -> None:
    program = (
        "import sys; from runtime import eventer, log; log.init(); eventer.pool_create('default', 1); eventer.start();"
        "print(sorted(name for name in sys.modules if name.startswith('runtime.eventer.'))); eventer.stop()"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.rpartition(".")[2] for name in re.findall(r"'([\w.]+)'", finished.stdout)}
    assert loaded == {"_callbacks", "_errors", "_event", "_events", "_pools", "_settings", "_thread"}
