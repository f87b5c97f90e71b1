"""luamtev: Lua modules inside a complete libmtev-style server."""

__version__ = "0.1.0"
