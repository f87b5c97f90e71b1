-- Lua typed by a person: lines become chunks, chunks run as coroutines of their own, what they give is shown.
--
--   repl.line(session, line)   takes a line; border.repl_said tells what comes of it: "more" when the chunk is not whole,
--                              "done" when it is over.  A call that suspends is waited for.
--   repl.drop(session)         forgets lines of a chunk that is not whole, and whoever runs

local home = ...

local find, gsub = string.find, string.gsub
local border, kernel = home.border, home.kernel
local loadstring, pcall, select, tostring, type, pairs, getmetatable, setmetatable, setfenv
  = loadstring, pcall, select, tostring, type, pairs, getmetatable, setmetatable, setfenv
local format, concat = string.format, table.concat

local DEPTH, ENTRIES, LENGTH = 4, 100, 4096 -- of what is shown of a table

local repl = {}
local unfinished = {} -- session -> the lines so far
local running = {} -- session -> coroutine

local show

local function show_key(key)
  if type(key) == "string" and find(key, "^[%a_][%w_]*$") then return key end
  return "[" .. show(key, DEPTH) .. "]"
end

local function show_table(value, depth, seen)
  local parts, n = {}, 0
  seen[value] = true
  for i = 1, #value do
    n = n + 1
    if n > ENTRIES then break end
    parts[n] = show(value[i], depth + 1, seen)
  end
  local length = n
  for key, each in pairs(value) do
    if not (type(key) == "number" and key >= 1 and key <= length and key % 1 == 0) then
      n = n + 1
      if n > ENTRIES then break end
      parts[n] = show_key(key) .. " = " .. show(each, depth + 1, seen)
    end
  end
  if n > ENTRIES then parts[ENTRIES + 1] = "..." end
  seen[value] = nil
  return n == 0 and "{}" or "{ " .. concat(parts, ", ") .. " }"
end

-- A value as a person reads it: tables with what is in them.
function show(value, depth, seen)
  depth, seen = depth or 0, seen or {}
  if type(value) == "string" and depth > 0 then return format("%q", value) end
  if type(value) ~= "table" then
    local ok, text = pcall(tostring, value)
    return ok and text or "(" .. type(value) .. " whose __tostring fails)"
  end
  local meta = getmetatable(value)
  if seen[value] or depth >= DEPTH or (type(meta) == "table" and meta.__tostring) then
    local ok, text = pcall(tostring, value)
    return ok and text or "(table whose __tostring fails)"
  end
  return show_table(value, depth, seen)
end

local function say(session, what, text) return border.repl_said(session, what, text) end

local function printer(session)
  return function(...)
    local n, parts = select("#", ...), { ... }
    for i = 1, n do parts[i] = tostring(parts[i]) end
    local text = concat(parts, "\t", 1, n)
    if not say(session, "print", text .. "\n") then print(text) end -- whoever typed this has gone
  end
end

local function environment(session)
  return setmetatable({ print = printer(session) }, { __index = _G, __newindex = _G })
end

local function finish(session, _, ...)
  local n = select("#", ...)
  if n > 0 then
    local parts, length = {}, 0
    for i = 1, n do
      local text = show((select(i, ...)))
      length = length + #text
      parts[i] = length > LENGTH and i > 1 and "..." or text
    end
    say(session, "print", concat(parts, "\t") .. "\n")
  end
  running[session] = nil
  say(session, "done", "")
end

local function give(...) return ... end

-- The chunk of a statement, or of an expression whose values it gives: by a call, so that errors have their line.
local function compile(code)
  local text = gsub(code, "^%s*=", "return ", 1)
  local chunk = loadstring("return (...)(" .. text .. "\n)", text)
  if chunk then return chunk end
  return loadstring(text, text)
end

function repl.line(session, line)
  local before = unfinished[session]
  unfinished[session] = nil
  local code = before and before .. "\n" .. line or line
  if find(code, "^%s*$") then return say(session, "done", "") end
  local chunk, message = compile(code)
  if not chunk then
    if find(message, "<eof>'?$") and not (before and line == "") then -- an empty line ends what is not whole
      unfinished[session] = code
      return say(session, "more", "")
    end
    say(session, "print", message .. "\n")
    return say(session, "done", "")
  end
  setfenv(chunk, environment(session))
  kernel.spawn(function()
    running[session] = kernel.current().co
    return finish(session, pcall(chunk, give))
  end)
end

function repl.drop(session)
  local co = running[session]
  unfinished[session], running[session] = nil, nil
  if co then kernel.cancel(co) end
end

return repl
