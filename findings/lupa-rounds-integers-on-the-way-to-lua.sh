#!/bin/sh
# lupa 2.8 with LuaJIT: a Python integer above 2^53 becomes another on its way to Lua, without a word: time.time_ns() comes
# out up to 128 ns off, an id of 64 bits as that of somebody else, and the round trip does not give the number back; from
# 2^63 on it is an OverflowError.  The way back has its own: what is whole comes as an int, so that 3.0 is 3, 1e15 too,
# and -0.0 has lost its sign.  (With lupa's Lua 5.4 there are integers, and none of this.)
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'lupa==2.8'
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import lupa
from lupa import lua54, luajit21

NUMBERS = [2**53, 2**53 + 1, 1_795_808_135_319_000_123, 2**63 - 1, 2**63]
print("lupa", lupa.__version__)


def travelled(runtime, number):
    try:
        return int(runtime.eval("function(number) return number end")(number))
    except OverflowError as error:
        return type(error).__name__


seen = {}
for module in (luajit21, lua54):
    runtime = module.LuaRuntime()
    seen[module] = [travelled(runtime, number) for number in NUMBERS]
    back = [runtime.eval(text) for text in ("3.0", "1e15", "-0.0")]
    seen[module] += [repr(each) for each in back]
    print(runtime.lua_implementation)
    for number, found in zip(NUMBERS, seen[module]):
        print(f"  {number} comes as {found}{'' if found == number else '  <-- another'}")
    print("  3.0, 1e15 and -0.0 come back as", *seen[module][-3:])
sys.exit(
    seen[luajit21] != [2**53, 2**53, 1_795_808_135_319_000_064, 2**63, "OverflowError", "3", "1000000000000000", "0"]
    or seen[lua54][:4] != NUMBERS[:4]
)
PYTHON
