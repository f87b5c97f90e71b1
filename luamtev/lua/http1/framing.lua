-- How an answer looks on the wire, where it is whole when it leaves and says nothing unusual of its framing.
--
--   put(out, response, content, date, keep, minor, mute, head)
--                  puts status line, headers and *content* into the buffer *out*; false, and nothing, where the answer
--                  needs more care than this
--   new_head()     what `put` keeps of a handler's answers
--
-- Everything else is put together by runtime.http's Response, see answers.lua.  The two agree byte by byte.

local home = ...

local http = home.need("web_http")
local new_buffer = require("string.buffer").new
local key_of, status_line = http.key_of, http.status_line

local CLOSE = 2
local lengths = {} -- lines of small bodies
for size = 0, 4096 do lengths[size] = "Content-Length: " .. size .. "\r\n" end

-- Names that need more than a line of their own.
local TELLING = { connection = true, ["content-length"] = true, ["transfer-encoding"] = true, date = true,
  ["content-encoding"] = true }

-- A name that came before replaces what it had; cookies add up.
local function gathered(response, n)
  local lines = response.lines
  local order, values, count = {}, {}, 0
  for i = 1, n do
    local name = i == 1 and response.name or lines[2 * i - 3]
    local value = i == 1 and response.value or lines[2 * i - 2]
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

-- Puts status line and headers of *response* as its handler said them; false, and nothing, where they need more care.
local function put_head(out, response, date)
  local n = response.count
  local lines
  if n == 1 then
    if TELLING[key_of(response.name)] then return false end
  elseif n > 1 then
    lines = gathered(response, n)
    if not lines then return false end
  end
  out:put(status_line(response.code, response.reason), date)
  if n == 1 then
    out:put(response.name, ": ", response.value, "\r\n")
  elseif n > 1 then
    for i = 1, #lines do out:put(lines[i]) end
  end
  return true
end

-- What a handler said last: most say the same headers again and again.  text: all of that as it is put, once it was
-- said twice.
local function new_head()
  return { date = "", code = 0, reason = false, count = 0, name = false, value = false, lines = false, text = false }
end

local function is_same(head, response, date)
  local n = response.count
  if head.date ~= date or head.code ~= response.code or head.reason ~= response.reason or head.count ~= n then
    return false
  end
  if n == 0 then return true end
  if head.name ~= response.name or head.value ~= response.value then return false end
  for i = 1, 2 * n - 2 do
    if head.lines[i] ~= response.lines[i] then return false end
  end
  return true
end

local LARGE, AROUND = 65536, 8192 -- bytes of a body, and of what may be around it

local scratch = new_buffer()

local function put(out, response, content, date, keep, minor, mute, head)
  local options, code = response.options, response.code
  if response.started or code == 205 or options ~= 0 and options ~= CLOSE then return false end
  if #content > LARGE then out:reserve(#content + AROUND) end -- where there is no memory for it, nothing was said
  if is_same(head, response, date) then
    if not head.text then
      put_head(scratch, response, date)
      head.text = scratch:get()
    end
    out:put(head.text)
  else
    if not put_head(out, response, date) then return false end
    head.date, head.code, head.reason, head.text = date, code, response.reason, false
    head.count, head.name, head.value, head.lines = response.count, response.name, response.value, response.lines
  end
  local empty = code == 204 or code == 304
  local length = empty and "" or lengths[#content] or "Content-Length: " .. #content .. "\r\n"
  local ending = "\r\n"
  if not keep then
    ending = "Connection: close\r\n\r\n"
  elseif minor == 0 then
    ending = "Connection: keep-alive\r\n\r\n"
  end
  out:put(length, ending, (mute or empty) and "" or content)
  return true
end

return { put = put, new_head = new_head }
