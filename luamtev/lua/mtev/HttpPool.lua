-- mtev.HttpPool: connections that are kept, as users see them; http_kept.lua has what Api does with them.

local home = ...

local refuse = home.need("arguments").refuse
local type, tostring, error, setmetatable, pairs, huge = type, tostring, error, setmetatable, pairs, math.huge

local IDLE, KEPT = 30, 32 -- seconds; connections

local HttpPool = {}
HttpPool.__index = HttpPool
HttpPool.__tostring = function() return "mtev.HttpPool" end

local function option(options, name, usual)
  local value = options[name]
  if value == nil then return usual end
  if type(value) ~= "number" or value < 0 or value ~= value then
    error("bad argument #1 to 'new' (" .. name .. ": number expected, got " .. tostring(value) .. ")", 3)
  end
  return value
end

-- new([options]): *idle*, seconds that a connection is kept; *kept*, how many are, all in all; *each*, how many there may be
-- to one place at a time, those in use with them: who wants more waits.
function HttpPool:new(options)
  if options ~= nil and type(options) ~= "table" then
    refuse(1, "new", "table", type(options), 2)
  end
  options = options or {}
  if options.each == 0 then error("bad argument #1 to 'new' (each: at least 1 expected, got 0)", 2) end
  return setmetatable({
    idle = option(options, "idle", IDLE), most = option(options, "kept", KEPT), each = option(options, "each", huge),
    entries = {}, used = {}, waiting = {}, made = 0, reused = 0, retried = 0, is_swept = false,
  }, HttpPool)
end

-- How many connections are kept and in use, how many were made, used again, and found dead when they were.
function HttpPool:stats()
  local used = 0
  for _, count in pairs(self.used) do used = used + count end
  return { kept = #self.entries, used = used, made = self.made, reused = self.reused, retried = self.retried }
end

-- Closes what is kept.
function HttpPool:close()
  while self.entries[1] do home.need("mtev/http_kept").close_at(self, #self.entries) end
end

mtev.HttpPool = HttpPool

return HttpPool
