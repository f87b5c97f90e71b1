"""What a listener allows of a client: sizes and times, from its ``<config>``.  Manual: Listeners (idle_timeout)."""

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.conf import parse_integer

HIGH_WATER = 256 << 10
"""Bytes not sent yet above which no more are made for a client."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds; a time of 0 is no limit."""

    max_header: int = 32 << 10
    max_uri: int = 16 << 10
    max_upload: int = 10 << 20
    max_message: int = 1 << 20
    max_backlog: int = 4 << 20
    max_waiting: int = 256 << 10
    header_timeout: float = 30.0
    body_timeout: float = 300.0
    idle_timeout: float = 60.0


def from_config(config: Mapping[str, str]) -> Limits:
    """The limits in *config*: ``max_header``, ``max_uri``, ``max_upload``, ``max_message``, ``max_backlog``,
    ``max_waiting`` in bytes; ``header_timeout``, ``body_timeout``, ``idle_timeout`` in milliseconds.

    Raises ValueError naming a key that is no such number."""
    values: dict[str, float] = {}
    for key in Limits.__dataclass_fields__:
        text = config.get(key)
        if text is not None:
            try:
                number = parse_integer(text)
            except ValueError as mistake:
                raise ValueError(f"{key} '{text}': {mistake}") from None
            if number < 0:
                raise ValueError(f"{key} '{text}': expected no negative number")
            values[key] = number / 1000 if key.endswith("_timeout") else number
    return Limits(**values)  # type: ignore[arg-type]  # sizes stay integers
