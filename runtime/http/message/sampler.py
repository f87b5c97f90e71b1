"""Which requests are traced, decided by their heads before there is an object of any: for who needs no more of them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Sampler(NamedTuple):
    """How that is decided, for as long as the answers of the table of routes hold."""

    share: float
    """Of the requests whose heads say nothing of it, 0 to 1."""
    names: frozenset[bytes]
    """Of the headers that say something."""
    wants: Callable[[Mapping[bytes, bytes]], bool]
    """Whether the request with these headers, some of those among them, is traced: drawn each time it is asked."""
