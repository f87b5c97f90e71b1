-- Handlers that fail: what the log is told of it, and what the client.
--
-- The client's page is the message, escaped, without the place and without directories: where a program lives is nobody's
-- business.  With `full_errors` of lua_web it is the whole message.

local home = ...

local getmetatable = getmetatable
local format, find, match, byte = string.format, string.find, string.match, string.byte
local traceback, pcall, tostring, type, pairs = debug.traceback, pcall, tostring, type, pairs
local gsub, sort, concat = string.gsub, table.sort, table.concat
local running = coroutine.running
local full_errors = home.settings.full_errors

local MOST_SHOWN = 20 -- fields of a table that was thrown
local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

local function scalar(value)
  if type(value) == "string" then return format("%q", value) end
  return tostring(value)
end

-- The fields of a table that was thrown, by name; those below it as their addresses.
local function fields_of(thrown)
  local found = {}
  for name, value in pairs(thrown) do
    if #found == MOST_SHOWN then
      found[#found + 1] = "…"
      break
    end
    found[#found + 1] = tostring(name) .. " = " .. scalar(value)
  end
  sort(found)
  return "{ " .. concat(found, ", ") .. " }"
end

local function message_of(failure)
  local meta = type(failure) == "table" and getmetatable(failure)
  if type(failure) == "table" and not (type(meta) == "table" and meta.__tostring) then
    local ok, text = pcall(fields_of, failure)
    return ok and "a table was thrown: " .. text or "a table was thrown"
  end
  local ok, text = pcall(tostring, failure) -- a __tostring of the user's may fail
  return ok and text or "error object is a " .. type(failure) .. " value"
end

-- For xpcall: the message, and the report for the log.
local function describe(failure)
  local text = message_of(failure)
  return { text = text, report = traceback(text, 2) }
end

-- What xpcall gives of a failure: what describe made of it, unless there was no stack left to describe it on.
local function described(failure)
  if type(failure) == "table" then return failure end
  return { text = message_of(failure), report = message_of(failure) }
end

-- A path without its directories; what is no path as it is.
local function base_name(word)
  if find(word, "/", 1, true) and not find(word, "[<>]") then return match(word, "([^/]*)$") end
end

-- The page that tells a client of a failure with the message *text*.
local function page(text)
  if not full_errors then
    text = gsub(text, "^[^%s:]+:%d+: ", "")
    text = gsub(text, "[^%s'\"()=,;]+", base_name)
  end
  return (gsub(text, "[&<>]", ENTITIES))
end

-- *report* with what was being served: the request of *context*, by the mount of that name and module.
local function report_of(report, context, mount, module_name)
  local uri = gsub(context.side.target(context), "[%c\127-\255]", function(c) return format("\\x%02x", byte(c)) end)
  local client = context.side.client(context)
  return report .. "\n\tserving " .. context.side.method(context) .. " " .. uri .. " of " .. (client ~= "" and client or "a local socket")
    .. ", mount_" .. mount .. " (" .. module_name .. "), " .. tostring(running())
end

return { describe = describe, described = described, page = page, report_of = report_of }
