"""Fixtures every room uses: fresh logs, and an eventer that is gone after the test."""

from collections.abc import Iterator

import pytest

from runtime import eventer, log


@pytest.fixture(autouse=True)
def fresh_logs() -> Iterator[None]:
    log.init()
    yield
    log.reset()


@pytest.fixture
def loops() -> Iterator[eventer.Pool]:
    """Two running loop threads, the default pool."""
    eventer.pool_create("default", 2)
    eventer.start()
    pool = eventer.pool()
    assert pool is not None
    yield pool
    eventer.stop()
