#!/usr/bin/env bash
# LuaJIT's profiler (jit.profile), used in two states of one process, as lupa makes them.
#
# A good guess: each state has its own profiler, or the second `start` fails and says so.
# Seen: the second `start` returns as the first did, and never samples; the state that began keeps the profiler until it
# calls `stop`.  Whoever profiles several states has to take them one after the other.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lupa==2.8
cat > "$work/two.py" <<'PYTHON'
import sys

import lupa
import lupa.luajit21 as luajit

SETUP = """
local profiler = require("jit.profile")
samples = 0
function start() profiler.start("fi5", function(_, n) samples = samples + n end) end
function stop() profiler.stop() end
function burn(seconds)
  local stop = os.clock() + seconds
  while os.clock() < stop do end
end
"""
first, second = luajit.LuaRuntime(), luajit.LuaRuntime()
for each in (first, second):
    each.execute(SETUP)
    each.globals().start()
for each in (first, second):
    each.globals().burn(0.5)
together = first.globals().samples, second.globals().samples
first.globals().stop()
second.globals().start()
second.globals().burn(0.5)
alone = second.globals().samples
print("lupa", lupa.__version__, luajit.LuaRuntime().lua_implementation)
print("samples of the first and the second state, both started:", *together)
print("samples of the second once the first has stopped:", alone)
sys.exit(0 if together[0] > 0 and together[1] == 0 and alone > 0 else 1)
PYTHON
"$work/venv/bin/python" "$work/two.py"
