#!/bin/sh
# lupa 2.8 with LuaJIT 2.1: Lua that is called from Python runs without the interpreter's lock, so Python's other threads go on.
# Lua that runs because its runtime goes does not: the finalizers of what is left (__gc, ffi.gc) run below the deallocation of
# LuaRuntime, with the lock.  For as long as they take no other thread of the process runs, whichever thread drops the
# last reference; a thread of Python's that watches over the end of others watches nothing then.  The same finalizers run
# without the lock when Lua itself collects during a call.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'lupa==2.8'
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys
import threading
import time

import lupa.luajit21 as lupa

WORKS = """
local ffi = require("ffi")
ffi.cdef "int usleep(unsigned int);"
kept = newproxy(true)
getmetatable(kept).__gc = function() ffi.C.usleep(500000) end
"""

turns = 0


def turn():
    global turns
    while True:
        time.sleep(0.001)
        turns += 1


threading.Thread(target=turn, daemon=True).start()


def during(function):
    before, began = turns, time.monotonic()
    function()
    return turns - before, time.monotonic() - began


def runtime():
    lua = lupa.LuaRuntime()
    lua.execute(WORKS)
    return lua


called = runtime()
by_call, took = during(lambda: called.execute("kept = nil collectgarbage()"))
holder = [runtime()]
by_end, took_too = during(holder.clear)
print("lupa", importlib.metadata.version("lupa"), called.eval("jit.version"))
print(f"a finalizer of half a second, turns of another thread: {by_call} in a call, {by_end} as the runtime goes")
assert took > 0.45 and took_too > 0.45, (took, took_too)
sys.exit(0 if by_call > 20 and by_end <= 3 else "lupa changed")
PYTHON
