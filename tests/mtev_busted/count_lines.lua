-- Runs a file with a hook for each line, then with counters in it, and a function with as many slots as there can be;
-- writes what they print, then both counts of each line.  Arguments: the runner's directory, the file.

local use = assert(loadfile(arg[2] .. "/use.lua"))(arg[2] .. "/")
local counters = use("counters")

local hooked, counted = {}, counters.lines()
jit.off()
debug.sethook(function(_, line)
  if debug.getinfo(2, "S").source == "@" .. arg[3] then hooked[line] = (hooked[line] or 0) + 1 end
end, "l")
print("----")
assert(loadfile(arg[3]))()
debug.sethook()
jit.on()
print("----")
assert(counters.counted(assert(loadfile(arg[3])), counted))()
print("----")
local slots = {} -- of a function that has none left for counting
for i = 1, 245 do slots[i] = "nil" end
local none = counters.lines()
local full = "local " .. ("x"):rep(198, ","):gsub("x", function() slots.n = (slots.n or 0) + 1 return "x" .. slots.n end)
  .. "\nreturn select('#', " .. table.concat(slots, ", ", 1, 46) .. ",\nx1)"
print(counters.counted(assert(loadstring(full)), none)(), none[2], none[3])
print("----")
for line = 1, 1000 do
  if hooked[line] or counted[line] then print(line, hooked[line] or 0, counted[line] or -1) end
end

function main() os.exit(0) end
