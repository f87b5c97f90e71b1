-- INT and TERM: what runs is an error, nothing else begins but what tears down, and what ran is reported.

local use, plan = ...
local busted = use("core")
local ffi = require("ffi")
local tasks = use("tasks")

local M = {}

local spawn, stopping, waitfor = mtev.coroutine_spawn, mtev.stopping, mtev.waitfor

local PATIENCE = 9 -- seconds for tearing down; a little less than the process has
local NEVER = "\0busted was interrupted"
local TEXT = "interrupted"

local function nothing_ran()
  local element = { descriptor = "suite", attributes = {}, trace = {} }
  busted.tell({ "error", "suite" }, element, nil, TEXT, { kind = "error", message = TEXT, traceback = "" })
end

local SET_PARENT_DEATH_SIGNAL, TERM = 1, 15 -- prctl(2)

-- Who looks on ends this process; without him it is to end as if he had.
local function end_with_parent()
  if plan.journal < 0 or ffi.os ~= "Linux" then return end
  ffi.cdef('int mtev_busted_prctl(int, long, long, long, long) asm("prctl")')
  ffi.C.mtev_busted_prctl(SET_PARENT_DEATH_SIGNAL, TERM, 0, 0, 0)
end

-- Waits for it.  The process stays as long as the coroutine, and ends when the run has.
function M.watch(exit)
  end_with_parent()
  spawn(function()
    if not stopping(math.huge) then return end
    busted.skipAll = true
    if not tasks.interrupt(TEXT) and plan.role == "" then nothing_ran() end
    waitfor(NEVER, PATIENCE)
    exit(2)
  end)
end

return M
