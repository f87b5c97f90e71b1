-- How an answer looks on the wire, where it is whole when it leaves and says nothing unusual of its framing.
--
--   whole(out, context, content, date, keep, minor, mute)   puts status line, headers and *content* into the buffer *out*;
--                                                    false, and nothing, where the answer needs more care than this
--
-- Everything else is put together by runtime.http's Response, see answers.lua.  The two agree byte by byte.

local home = ...

local http = home.need("web_http")
local key_of, status_line = http.key_of, http.status_line

local CLOSE = 2
local lengths = {} -- lines of small bodies
for size = 0, 4096 do lengths[size] = "Content-Length: " .. size .. "\r\n" end

-- Names that need more than a line of their own.
local TELLING = { connection = true, ["content-length"] = true, ["transfer-encoding"] = true, date = true,
  ["content-encoding"] = true }

-- A name that came before replaces what it had; cookies add up.
local function gathered(context, n)
  local lines = context.lines
  local order, values, count = {}, {}, 0
  for i = 1, n do
    local name = i == 1 and context.name or lines[2 * i - 3]
    local value = i == 1 and context.value or lines[2 * i - 2]
    local key = key_of(name)
    if TELLING[key] then return nil end
    local line = name .. ": " .. value .. "\r\n"
    if not values[key] then
      count = count + 1
      order[count], values[key] = key, line
    else
      values[key] = key == "set-cookie" and values[key] .. line or line
    end
  end
  for i = 1, count do order[i] = values[order[i]] end
  return order
end

local function whole(out, context, content, date, keep, minor, mute)
  local options, code, n = context.options, context.code, context.count
  if context.started or code == 205 or options ~= 0 and options ~= CLOSE then return false end
  local lines
  if n == 1 then
    if TELLING[key_of(context.name)] then return false end
  elseif n > 1 then
    lines = gathered(context, n)
    if not lines then return false end
  end
  out:put(status_line(code, context.reason), date)
  if n == 1 then
    out:put(context.name, ": ", context.value, "\r\n")
  elseif n > 1 then
    for i = 1, #lines do out:put(lines[i]) end
  end
  local empty = code == 204 or code == 304
  if not empty then out:put(lengths[#content] or "Content-Length: " .. #content .. "\r\n") end
  if not keep then
    out:put("Connection: close\r\n")
  elseif minor == 0 then
    out:put("Connection: keep-alive\r\n")
  end
  out:put("\r\n")
  if not mute and not empty then out:put(content) end
  return true
end

return whole
