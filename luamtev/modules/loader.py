"""The loader ``lua``: modules that are functions of Lua modules.  Manual: Loader Modules.

``<generic loader="lua" image="MODULE" name="FUNCTION"/>`` is what lua_general runs with that ``lua_module`` and
``lua_function``; the rest of its configuration is lua_general's.
"""

from collections.abc import Mapping
from pathlib import Path

from luamtev.modules.lua_general import LuaGeneral


class LuaLoader:
    """As the loader of modules knows it."""

    def configure(self, _config: Mapping[str, str]) -> None:
        """It has no settings."""

    def load(self, image: str, name: str, directories: list[Path]) -> "LuaModule":
        """The function *name* of the Lua module *image*, which is searched in *directories* too."""
        return LuaModule(image, name, directories)


class LuaModule(LuaGeneral):
    """One function of a Lua module."""

    def __init__(self, image: str, name: str, directories: list[Path]) -> None:
        self._named = {"lua_module": image, "lua_function": name}
        self._directories = directories

    def configure(self, config: Mapping[str, str]) -> None:
        """As of lua_general.  Raises ValueError naming the key that is unusable."""
        own = config.get("directory") or "{package.path}"
        found = ";".join([*(f"{each}/?.lua" for each in self._directories), own])
        super().configure({**config, **self._named, "directory": found})
