-- Tasks that yielded on their own: the coroutine of each belongs to whoever holds it from then on, if anybody does.
--
-- A coroutine is held by those to whom coroutine.running gave it, or by what it gave them.  Where nobody can resume it any
-- more - at once if it was never given away, else when it has been collected - that is logged, and those who wait for what
-- it was about are told.

local kernel, border = ...

local raw_running, setmetatable, collectgarbage, traceback = coroutine.running, setmetatable, collectgarbage, debug.traceback
local next, remove = next, table.remove

local WEAK = { __mode = "k" }
local FIRST_PAUSE, LAST_PAUSE = 0.5, 60 -- seconds between looks, which collect garbage

local given = setmetatable({}, WEAK) -- coroutines that somebody may hold
local askers = {}
local adrift = {} -- arrays of a weak table with the coroutine, what is told of it, and the function to be called
local is_looking = false

local M = {}

function coroutine.running()
  local co, is_main = raw_running()
  if co then
    given[co] = true
    kernel.keep()
  end
  return co, is_main
end

-- Has ask(co) called for a coroutine that is adrift: it gives a function to be called once nobody can resume it, which
-- says whether that mattered, and must not keep the coroutine; or nil.
function M.on_adrift(ask) askers[#askers + 1] = ask end

local function told(co) return traceback(co, "it yielded to nobody: no one can resume this coroutine") end

local function look()
  local pause, count = FIRST_PAUSE, 0
  while #adrift > 0 do
    pause = #adrift > count and FIRST_PAUSE or pause
    count = #adrift
    kernel.sleep(pause)
    pause = pause * 2 < LAST_PAUSE and pause * 2 or LAST_PAUSE
    collectgarbage()
    for i = #adrift, 1, -1 do
      local each = adrift[i]
      if not next(each[1]) then
        remove(adrift, i)
        if each[3]() then border.task_adrift(each[2]) end
      end
    end
  end
  is_looking = false
end

-- *co*, of a task, yielded on its own.
function M.note(co)
  local give_up
  for i = 1, #askers do give_up = give_up or askers[i](co) end
  if not given[co] then
    border.task_adrift(told(co))
    if give_up then give_up() end
  elseif give_up then
    adrift[#adrift + 1] = { setmetatable({ [co] = true }, WEAK), told(co), give_up }
    if not is_looking then
      is_looking = true
      kernel.spawn(look)
    end
  end
end

return M
