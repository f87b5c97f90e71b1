#!/bin/sh
# lupa 2.8 with LuaJIT 2.1: error({code = 7}), as Lua libraries raise objects, arrives in Python as a LuaError whose text is
# empty, and the table is nowhere to be had: args is ('',).  The same error through Lua's pcall keeps its table.  So
# whoever wants to know what failed has to catch it in Lua, before it crosses.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'lupa==2.8'
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

import lupa.luajit21 as lupa

lua = lupa.LuaRuntime(unpack_returned_tuples=True)
print("lupa", importlib.metadata.version("lupa"), lua.eval("jit.version"))
try:
    lua.execute("error({code = 7})")
    crossed = None
except lupa.LuaError as error:
    crossed = error.args
print("error({code = 7}) in Python:", crossed)
kept = lua.eval("select(2, pcall(error, {code = 7})).code")
print("through pcall in Lua: code", kept)
sys.exit(0 if (crossed, kept) == (("",), 7) else "lupa changed")
PYTHON
