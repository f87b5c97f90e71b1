"""The Python half of ``mtev.*``: one file a family, each with ``functions(state)``.

The functions are pinned in a Lua state at its creation and called below Lua: they take and return plain values, raise
:exc:`luamtev.bridge.LuaError` for a mistake of the caller's, and never wait.
"""
