-- What a snapshot puts back: formatters, parameters and spies, in levels, each the changes since the one before.

local use = ...
local compare = use("luassert/compare")

local M = {}

local NIL = {} -- a parameter that was set to nil

local Level = {}
Level.__index = Level

local current = setmetatable({ formatters = {}, parameters = {}, spies = {} }, Level)

-- Undoes what happened since this level began; levels begun later end with it.
function Level:revert()
  if self.reverted or not self.previous then return end
  if self.next then self.next:revert() end
  for i = #self.spies, 1, -1 do self.spies[i]:revert() end
  self.formatters, self.parameters, self.spies = {}, {}, {}
  self.reverted = true
  self.previous.next = nil
  current = self.previous
end

-- Begins a level; its revert ends it.
function M.snapshot()
  local level = setmetatable({ formatters = {}, parameters = {}, spies = {}, previous = current }, Level)
  current.next = level
  current = level
  return level
end

function M.revert(level) (level or current):revert() end

function M.set_parameter(name, value)
  if value == nil then value = NIL end
  current.parameters[name] = value
end

function M.get_parameter(name)
  local level = current
  while level do
    local value = level.parameters[name]
    if value ~= nil then
      if value == NIL then return nil end
      return value
    end
    level = level.previous
  end
end

function M.add_formatter(callback) table.insert(current.formatters, 1, callback) end

function M.remove_formatter(callback)
  local level = current
  while level do
    for i = #level.formatters, 1, -1 do
      if rawequal(level.formatters[i], callback) then
        table.remove(level.formatters, i)
        return
      end
    end
    level = level.previous
  end
end

-- The text that the newest formatter makes of a value, or nil.
function M.format_argument(value, _, info)
  local level = current
  while level do
    for _, callback in ipairs(level.formatters) do
      local text = callback(value, info)
      if text ~= nil then return compare.hastostring(text) and tostring(text) or nil end
    end
    level = level.previous
  end
end

-- Has *spy* reverted with the current level.
function M.add_spy(spy) table.insert(current.spies, spy) end

return M
