-- Coroutines of the user's own: a suspension inside one passes through to the task around it.

local kernel = ...

local create, raw_resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local raw_status, isyieldable = coroutine.status, coroutine.isyieldable
local error, setmetatable = error, setmetatable
local PARK, deepen, confine, surface = kernel.PARK, kernel.deepen, kernel.confine, kernel.surface

local M = {}
local relaying = setmetatable({}, { __mode = "k" }) -- user's coroutines suspended, inside, by the kernel

local relay

local function relay_resume(co, ...)
  relaying[co] = nil
  deepen()
  return relay(co, false, raw_resume(co, ...))
end

function relay(co, outside, ...)
  surface(outside)
  local ok, what = ...
  if what == PARK and ok then
    relaying[co] = true
    return relay_resume(co, yield(PARK))
  end
  return ...
end

local function resume(co, ...)
  if relaying[co] then return false, "cannot resume normal coroutine" end
  local outside = confine(not isyieldable())
  if outside == nil then return false, "C stack overflow" end
  return relay(co, outside, raw_resume(co, ...))
end

local function unwrap(ok, ...)
  if ok then return ... end
  return error((...), 0)
end

-- Whether *f* is of those that resume a user's coroutine, which is the first of their locals.
function M.is_resumer(f) return f == resume or f == relay_resume end

coroutine.resume = resume

function coroutine.wrap(f)
  local co = create(f)
  return function(...) return unwrap(resume(co, ...)) end
end

function coroutine.status(co)
  if relaying[co] then return "normal" end
  return raw_status(co)
end

return M
