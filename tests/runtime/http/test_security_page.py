"""docs/security.md names every bound of a listener, and its default."""

import re
from pathlib import Path

import pytest

from runtime import eventer
from runtime.http import Limits

PAGE = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
REST = (Path(__file__).parents[3] / "docs" / "reference" / "rest.md").read_text()


@pytest.mark.parametrize("key", Limits.__dataclass_fields__)
@pytest.mark.parametrize("page", [PAGE, REST], ids=["security.md", "rest.md"])
def test_every_limit_is_there_with_its_default(key: str, page: str) -> None:
    default = getattr(Limits(), key) * (1000 if key.endswith("_timeout") else 1)
    (row,) = re.findall(rf"^\|.*`{key}`.*\| (\d+) \|$", page, re.MULTILINE)[:1]
    assert int(row) == default


def test_the_turn_is_there_with_its_default() -> None:
    assert re.search(rf"`turn_budget`.*\| {eventer.settings().turn_budget * 1000:g} \|$", PAGE, re.MULTILINE)
