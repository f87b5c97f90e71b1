"""What editors need to know the API: ``.luarc.json`` for LuaLS, which names the annotations in ``library/``."""

import json
from pathlib import Path

LIBRARY = Path(__file__).parent / "library"
FILE = Path(".luarc.json")

_SETTINGS = {
    "$schema": "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json",
    "runtime.version": "LuaJIT",
    "diagnostics.disable": ["lowercase-global"],
}
"""What is set unless the file has it: functions such as ``main`` and ``handler`` are globals of their modules."""


def write() -> str:
    """Write the file of the working directory, what else it has is kept; returns what was done.

    Raises ValueError when there is a file that is no JSON object, OSError when it cannot be written."""
    found = {}
    if FILE.exists():
        try:
            found = json.loads(FILE.read_text())
        except ValueError as mistake:
            raise ValueError(f"{FILE} is no JSON: {mistake}") from None
        if not isinstance(found, dict) or not isinstance(found.get("workspace.library", []), list):
            raise ValueError(f"{FILE} is no object of settings")
    others = [each for each in found.get("workspace.library", []) if not str(each).endswith("luamtev/library")]
    settings = _SETTINGS | found | {"workspace.library": [*others, str(LIBRARY)]}
    FILE.write_text(json.dumps(settings, indent=2) + "\n")
    return f"{FILE} names {LIBRARY}"
