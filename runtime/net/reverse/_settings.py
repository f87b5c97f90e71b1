"""Numbers in the configurations of reverse connections."""

from collections.abc import Mapping

from runtime.conf import parse_integer


def setting(config: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """The integer *name* of *config*, moved within *least* and *most*.

    Raises ValueError naming it for a text that is none."""
    text = config.get(name)
    if text is None:
        return default
    try:
        return min(max(parse_integer(text), least), most)
    except ValueError as bad:
        raise ValueError(f"{name}: {text!r}: {bad}") from None
