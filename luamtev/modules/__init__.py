"""The loadable modules that run Lua.  In a configuration their image is ``lua_mtev``."""

from runtime import console, modules, services

IMAGE = "lua_mtev"


def register() -> None:
    """Make the modules known to the loader."""
    modules.register(IMAGE, "lua_general", "luamtev.modules.lua_general:LuaGeneral")
    modules.register(IMAGE, "lua_web", "luamtev.modules.lua_web:LuaWeb")
    modules.register_loader("lua", "luamtev.modules.loader:LuaLoader")
    services.register("luamtev.modules.lua_ops:mount")
    console.register_later("luamtev.modules.lua_console:install")
