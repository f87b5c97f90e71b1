"""The Python half of the engine that serves HTTP/1 in LuaJIT (``luamtev/lua/http1``)."""
