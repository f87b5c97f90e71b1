"""What the tests of the eventer share."""

from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

from runtime import eventer


@pytest.fixture
def seen() -> "Queue[Any]":
    """What callbacks tell the test."""
    return Queue()


@pytest.fixture
def opened() -> Iterator[list[Any]]:
    """Closed after the loops have let go of them."""
    things: list[Any] = []
    yield things
    eventer.stop()
    for each in things:
        each.close()
