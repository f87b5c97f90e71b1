"""The libmtev stack in Python: configuration, logs, event loops, modules.  It knows nothing of Lua."""
