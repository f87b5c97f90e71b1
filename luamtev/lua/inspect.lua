-- What a state says of itself to those who look at the system, in JSON: state(), waits(what) and xcall(query).

local home = ...

local tostring, pairs, collectgarbage, rawget, type, pcall = tostring, pairs, collectgarbage, rawget, type, pcall
local gsub, sub, format = string.gsub, string.sub, string.format
local insert, sort = table.insert, table.sort
local max = math.max
local status = coroutine.status
local kernel = home.kernel
local traceback, getinfo = debug.traceback, debug.getinfo

local function address(value) return (gsub(tostring(value), "^.-(0x%x+).*$", "%1")) end

-- The frames of a coroutine in its user's code, the outermost first; a call into the program is one frame, named as it
-- was called there.
local function frames(co)
  local found, called = {}, nil
  for level = 0, 100 do
    local info = getinfo(co, level, "nSl")
    if not info then break end
    if info.what == "C" or sub(info.source, 1, 9) == "@luamtev/" then
      if info.name then called = info end
    else
      if called then
        insert(found, 1, { file = "=[C]", namewhat = called.namewhat, name = called.name })
        called = nil
      end
      local name = info.namewhat ~= "" and info.name or nil
      insert(found, 1, { file = info.short_src, line = info.currentline, namewhat = info.namewhat, name = name })
    end
  end
  if found[1] then found[1].name, found[1].namewhat = nil, nil end -- it was called from the kernel
  return found
end

-- What a task waits for, in words.
local function awaited(task)
  local what, key, left = kernel.awaits(task)
  local text = what
  if what == "turn" then
    text = "its turn"
  elseif what == "readable" or what == "writable" then
    text = "descriptor " .. key .. " to be " .. what
  elseif key ~= nil then
    text = what .. " " .. tostring(key)
  end
  if left then text = text .. (what == "sleep" and " for " or ", at most ") .. format("%.3f s", max(0, left)) end
  return text, what == "ticket" and key or nil
end

local function state()
  local coroutines = {}
  for co, task in pairs(kernel.tasks()) do
    local age, cpu = kernel.ages(task)
    local awaits, ticket = awaited(task)
    coroutines[#coroutines + 1] = {
      id = tostring(co), address = address(co), status = status(co), stack = traceback(co), frames = frames(co),
      age = age, cpu = cpu, awaits = awaits, ticket = ticket,
    }
  end
  sort(coroutines, function(a, b) return a.id < b.id end)
  return { memory = collectgarbage("count") * 1024, visits = kernel.visits(), coroutines = coroutines }
end

-- Who waits on what: descriptors that are open, or deadlines.
local function descriptors()
  local rows, waiting = {}, {}
  for co, task in pairs(kernel.tasks()) do
    local what, key = kernel.awaits(task)
    if what == "readable" or what == "writable" then
      local entry = waiting[key] or { mask = 0 }
      entry.mask = entry.mask + (what == "readable" and 1 or 2)
      entry.co = co
      waiting[key] = entry
    end
  end
  for fd, event in pairs(home.need("mtev/eventer").open_descriptors) do
    if event.fd == fd then
      local entry = waiting[fd] or { mask = 0 }
      local co = entry.co or (event.owner and event.owner.co)
      local known = co and kernel.task_of(co)
      rows[#rows + 1] = {
        fd = fd, mask = entry.mask, tls = event.tls and true or false, made_at = event.made_at,
        coroutine = known and address(co) or nil, source = known and kernel.place(co) or nil,
      }
    end
  end
  return rows
end

local function deadlines()
  local rows = {}
  for co, task in pairs(kernel.tasks()) do
    local what, key, left = kernel.awaits(task)
    if left then
      rows[#rows + 1] = {
        what = what, left = left, coroutine = address(co), source = kernel.place(co), key = key and tostring(key) or nil,
      }
    end
  end
  return rows
end

-- Calls the global mtev_xcall, if there is one, with a table of what was asked.
local function xcall(query)
  local call = rawget(_G, "mtev_xcall")
  if type(call) ~= "function" then return { error = "no function mtev_xcall" } end
  local asked = mtev.parsejson(query):document()
  local ok, result = pcall(call, asked)
  if not ok then return { error = tostring(result) } end
  return { result = result }
end

-- Forgets the coroutine at an address; whether there was one.
local function cancel(wanted)
  for co in pairs(kernel.tasks()) do
    if address(co) == wanted then
      kernel.cancel(co)
      return { cancelled = true }
    end
  end
  return { cancelled = false }
end

-- Figures for metrics: how much of what there is.
local function figures()
  local coroutines, sockets = {}, {}
  local waiting = {}
  for _, task in pairs(kernel.tasks()) do
    local what, key = kernel.awaits(task)
    coroutines[what] = (coroutines[what] or 0) + 1
    if what == "readable" or what == "writable" then waiting[key] = what end
  end
  for fd, event in pairs(home.need("mtev/eventer").open_descriptors) do
    if event.fd == fd then
      local what = waiting[fd] or "idle"
      sockets[what] = (sockets[what] or 0) + 1
    end
  end
  return {
    memory = collectgarbage("count") * 1024, visits = kernel.visits(), coroutines = coroutines, sockets = sockets,
    in_flight = home.in_flight and home.in_flight() or nil,
  }
end

local function profiling(what) return home.need("profile")[what]() end

-- Only while somebody asks: tables that are empty are lists.
local questions = {
  state = state, xcall = xcall, cancel = cancel, figures = figures,
  profile_start = function() return profiling("start") end,
  profile_stop = function() return profiling("stop") end,
  descriptors = function() return { rows = descriptors() } end,
  deadlines = function() return { rows = deadlines() } end,
}

return function(what, ...)
  local ok, answer = pcall(questions[what], ...)
  if not ok then answer = { error = tostring(answer) } end
  return mtev.tojson(answer):tostring()
end
