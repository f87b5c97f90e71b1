"""The Lua half of the program: its sources by name, and what loads them in a state."""

from functools import cache
from pathlib import Path

ROOMS = ("kernel", "mtev", "http1", "ffi_mtev")
"""Folders of the Lua half."""

LOADER = b"""
local source_of = (...).library_source
local assert, error, loadstring = assert, error, loadstring
return function(name, ...)
  local source = source_of(name)
  if not source then error("no library '" .. name .. "'", 2) end
  return assert(loadstring(source, "@luamtev/" .. name .. ".lua"))(...)
end
"""
"""A chunk that returns `load_library`.  All of it is compiled in the state: a Python function that returned a Lua one
would hand over an object.  A state asks for a source when it needs it, and keeps none."""

loader = LOADER
"""What states made from now on load the Lua half with: the above, or what stands in for it to see what is loaded."""


@cache
def sources() -> dict[str, bytes]:
    """The Lua half by name: `kernel`, `mtev/log` and so on."""
    top = Path(__file__).parent / "lua"
    files = [(each.name, each) for each in top.iterdir()]
    files += [(f"{room}/{each.name}", each) for room in ROOMS for each in (top / room).iterdir()]
    return {name.removesuffix(".lua"): file.read_bytes() for name, file in files if name.endswith(".lua")}
