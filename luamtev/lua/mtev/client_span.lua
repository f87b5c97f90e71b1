-- Spans of requests that Lua makes of others, while what the running coroutine works for is traced.

local home = ...

local border, carried = home.border, home.kernel.carried
local begin_client, end_client = border.zipkin_begin_client, border.zipkin_end_client
local select, tostring, lower = select, tostring, string.lower

local M = {}

local function take(lines, given, number, ...)
  if not number then return nil end
  for i = 1, select("#", ...), 2 do
    local name, value = select(i, ...)
    if not given[lower(name)] then lines[#lines + 1] = name .. ": " .. value end
  end
  return number
end

-- Begins the span of a request to somebody else, whose *lines* of headers then tell of it, but for those *given*.  Returns
-- its number, or nil where nothing is traced.
function M.begin(method, host, uri, lines, given)
  local number = carried()
  return number and take(lines, given, begin_client(number, method, host, uri))
end

-- Ends it, with the status of the response and what went wrong, if anything.
function M.finish(number, code, failure)
  end_client(number, code, failure ~= nil and tostring(failure) or nil)
end

return M
