"""Answers in JSON."""

import json
from typing import Any

from runtime.http import GZIP, Response


def answer(response: Response, value: Any, code: int = 200) -> None:
    """End *response* with *value* as JSON."""
    if response.complete:
        return
    response.status(code)
    response.header("Content-Type", "application/json")
    response.option(GZIP)
    response.write(json.dumps(value).encode() + b"\n")
    response.flush_end()
