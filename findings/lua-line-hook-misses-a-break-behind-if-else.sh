#!/usr/bin/env bash
# A debug hook for lines (as luacov uses it) in Lua 5.1 and in LuaJIT with its compiler off, over a `break` behind if … else.
#
# A good guess: every line that is run calls the hook.
# Seen: the jump at the end of the first branch goes straight to where the `break` leads, so that its line calls no hook
# unless the other branch comes to it: coverage shows a line as missed that every pass went through.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lupa==2.8
cat > "$work/lines.py" <<'PYTHON'
import sys

import lupa
import lupa.lua51 as puc
import lupa.luajit21 as luajit

COUNT = """
local source = ...
local seen = {}
if jit then jit.off() end
local chunk = assert(loadstring(source, "@x"))
debug.sethook(function(_, line)
  if debug.getinfo(2, "S").source == "@x" then seen[line] = (seen[line] or 0) + 1 end
end, "l")
chunk()
debug.sethook()
local text = {}
for line = 1, 8 do text[line] = tostring(seen[line] or 0) end
return table.concat(text, " ")
"""
SOURCE = """local n = 0
while true do
  if n < 10 then
    n = n + 1
  else
    n = 0
  end
  break
end
"""
print("lupa", lupa.__version__)
results = {}
for name, library in (("Lua 5.1", puc), ("LuaJIT", luajit)):
    runtime = library.LuaRuntime()
    results[name] = runtime.execute(COUNT, SOURCE).split()
    print(f"{name}: times each line was seen:", *results[name])
same = all(seen[7] == "0" and seen[3] == "1" for seen in results.values())
print("as found" if same else "changed")
sys.exit(0 if same else 1)
PYTHON
"$work/venv/bin/python" "$work/lines.py"
