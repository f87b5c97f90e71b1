"""JSON as consoles print it: on one line, with a blank inside brackets, and slashes escaped."""

import json
from typing import Any


def spaced(value: Any) -> str:
    """*value* as JSON."""
    if isinstance(value, dict):
        if not value:
            return "{ }"
        return "{ " + ", ".join(f"{_text(key)}: {spaced(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[ " + ", ".join(map(spaced, value)) + " ]" if value else "[ ]"
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("/", "\\/")
