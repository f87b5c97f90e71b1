-- What a state says of itself to those who ask over HTTP: state() and xcall(query), in JSON.

local home = ...

local kernel = home.kernel
local traceback = debug.traceback

local function state()
  local coroutines = {}
  for co in pairs(kernel.tasks()) do
    coroutines[#coroutines + 1] = { id = tostring(co), status = coroutine.status(co), stack = traceback(co) }
  end
  table.sort(coroutines, function(a, b) return a.id < b.id end)
  return { memory = collectgarbage("count") * 1024, visits = kernel.visits(), coroutines = coroutines }
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

local questions = { state = state, xcall = xcall }

return function(what, ...)
  local ok, answer = pcall(questions[what], ...)
  if not ok then answer = { error = tostring(answer) } end
  return mtev.tojson(answer):tostring()
end
