-- Samples where Lua's time goes, for a while: start(), then stop(), which gives counts by stack, outermost first.
--
-- LuaJIT has one profiler a process; whoever asks sees to it that one state at a time uses it.

local home = ...

local pcall, pairs = pcall, pairs
local profiler = require("jit.profile")

local INTERVAL, DEPTH = 10, -100 -- milliseconds of CPU; frames, the outermost first

local profile = {}
local counts = nil

local function take(thread, samples, state)
  if thread == home.kernel.answering() then return end -- whoever asks for the profile
  if state == "C" then samples = 1 end -- in C, or the process was busy elsewhere while no Lua ran
  local stack = profiler.dumpstack(thread, "pF;", DEPTH)
  if state == "G" or state == "J" then stack = stack .. (state == "G" and "(garbage collector)" or "(compiler)") end
  counts[stack] = (counts[stack] or 0) + samples
end

function profile.start()
  counts = {}
  profiler.start("fi" .. INTERVAL, function(...) pcall(take, ...) end) -- an error there would end the process
  return { interval = INTERVAL / 1000 }
end

function profile.stop()
  profiler.stop()
  local rows = {}
  for stack, count in pairs(counts or {}) do rows[#rows + 1] = { stack = stack, count = count } end
  counts = nil
  return { rows = rows }
end

return profile
