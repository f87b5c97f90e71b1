"""What can be known of Lua modules before they run: where they are, and whether they compile.

The paths are those of the state that will load them; a state without anything of ours, made for the question, looks.
"""

import os
import re
from collections.abc import Iterator

from luamtev import bridge
from luamtev.settings import Options

_LOOK = b"""
local name, path, cpath = ...
local function filled(wanted, default)
  if wanted == "" then return default end
  return (wanted:gsub("{package%.c?path}", function() return default end))
end
if package.loaded[name] then return name, "loaded" end
local lua, tried = package.searchpath(name, filled(path, package.path))
if lua then return lua, "lua" end
local binary, also_tried = package.searchpath(name, filled(cpath, package.cpath))
if binary then return binary, "c" end
local file = io.open(name, "rb")
if file then file:close() return name, "lua" end
return false, tried .. also_tried
"""
_COMPILE = b"""
local chunk, message = loadfile((...))
return not chunk and message or ""
"""


def missing(key: str, names: str, options: Options) -> Iterator[str]:
    """For each of *names*, separated by commas or blanks, that is nowhere to be found: what to say, from *key* on."""
    for name in re.findall(r"[^\s,]+", names):
        found, tried = _look(name, options)
        if not found:
            yield f"{key}: there is no module '{name}': {', '.join(tried.split(chr(10) + chr(9))[1:])}"


def mistakes(key: str, name: str, options: Options) -> Iterator[str]:
    """What to say, from *key* on, of the module *name* when it is not found or does not compile."""
    found, kind = _look(name, options)
    if not found:
        yield from missing(key, name, options)
    elif kind == "lua":
        wrong = bridge.ask(_COMPILE, os.fsencode(found))
        if wrong:
            yield f"{key}: {wrong.decode('utf-8', 'replace')}"


def _look(name: str, options: Options) -> tuple[str, str]:
    """The file of module *name*, empty for none; and what it is, or the places where it is not."""
    if name == "mtev" or name.startswith("mtev."):
        return name, "loaded"
    found, what = bridge.ask(_LOOK, *map(os.fsencode, (name, options.directory, options.cpath)))
    return os.fsdecode(found or b""), what.decode("utf-8", "replace")
