"""Sorting what is linked rather than listed.  Manual: mtev_merge_sort."""

from collections.abc import Callable, Iterator
from functools import cmp_to_key
from typing import TypeVar

T = TypeVar("T")


def merge_sort(
    head: T | None,
    next_of: Callable[[T], T | None],
    set_next: Callable[[T, T | None], object],
    compare: Callable[[T, T], int],
) -> T | None:
    """The first of the nodes from *head* on, in order; equal ones keep theirs.

    *next_of* gives the node after one, None at the end; *set_next* sets it; *compare* is below, at or above 0.  Manual:
    mtev_merge_sort."""
    nodes = sorted(_linked(head, next_of), key=cmp_to_key(compare))
    if not nodes:
        return None
    for node, following in zip(nodes, [*nodes[1:], None], strict=True):
        set_next(node, following)
    return nodes[0]


def _linked(node: T | None, next_of: Callable[[T], T | None]) -> Iterator[T]:
    while node is not None:
        yield node
        node = next_of(node)
