-- The run: which tests count, in which order files are executed, how often, and when to stop.

local use = ...
local blocks = use("blocks")
local busted = use("core")
local context = use("context")
local helpers = use("helpers")
local shuffle = use("shuffle")
local tasks = use("tasks")

local M = {}

local time = mtev.time

-- Filter --------------------------------------------------------------------------------------------------------------

local function has_tag(name, tag)
  local at = 1
  while true do
    local first, last = name:find("#" .. tag, at, true)
    if not first then return false end
    if not name:find("^[%w_-]", last + 1) then return true end
    at = last + 1
  end
end

local function any(list, fits)
  for _, each in ipairs(list) do
    if fits(each) then return true end
  end
  return false
end

-- A function that says whether a test is to be run.  plan: tags, exclude_tags, filter, filter_out, names.
local function accepter(plan)
  local only = plan.names and {}
  for _, name in ipairs(plan.names or {}) do only[name] = true end
  local never = {}
  for _, name in ipairs(plan.excluded_names) do never[name] = true end
  if not only and not next(never) and #plan.tags + #plan.exclude_tags + #plan.filter + #plan.filter_out == 0 then
    return function(element) return element.descriptor ~= "pending" or not plan.suppress_pending end
  end
  local function excluded(name)
    return any(plan.exclude_tags, function(tag) return has_tag(name, tag) end)
      or any(plan.filter_out, function(pattern) return name:find(pattern) ~= nil end)
  end
  return function(element)
    if element.descriptor ~= "it" and element.descriptor ~= "pending" then return not excluded(busted.full_name(element)) end
    if element.descriptor == "pending" and plan.suppress_pending then return false end
    local name = busted.full_name(element)
    if never[name] then return false end
    if excluded(name) then return false end
    if #plan.tags > 0 and not any(plan.tags, function(tag) return has_tag(name, tag) end) then return false end
    if #plan.filter > 0 and not any(plan.filter, function(pattern) return name:find(pattern) ~= nil end) then
      return false
    end
    return not only or only[name] or false
  end
end

-- Files ---------------------------------------------------------------------------------------------------------------

local function attach_file(path)
  local chunk, message = loadfile(path)
  local element = { descriptor = "file", name = path, run = chunk and setfenv(chunk, context.environment),
    attributes = { envmode = M.plan.insulate_files and "insulate" or nil },
    trace = { short_src = path, currentline = 1, source = "@" .. path } }
  if not chunk then
    element.load_error = tasks.describe(message, "")
    element.load_error.file = element.load_error.file or path
  end
  context.attach(element)
end

local function attach_files(plan, seed)
  local paths = {}
  for i, path in ipairs(plan.files) do paths[i] = path end
  if plan.sort_files then table.sort(paths) end
  if plan.shuffle_files then shuffle.shuffle(paths, seed) end
  for _, path in ipairs(paths) do attach_file(path) end
end

-- An error that belongs to no test.
local function report(message, name)
  local element = { descriptor = "suite", name = name, attributes = {}, trace = {} }
  busted.tell({ "error", "suite" }, element, nil, message, { kind = "error", message = message, traceback = "" })
end

-- A run begins: told, and what attach() adds is in place.  Returns whether nobody objected.
local function begin(plan, run, seed, attach)
  context.clear()
  local root = context.root()
  root.worker, root.starttime = nil, time()
  math.randomseed(seed)
  attach()
  busted.randomseed = seed
  if run > 1 then busted.tell({ "suite", "reset" }, root, run, plan.runs) end
  return busted.tell({ "suite", "start" }, root, run, plan.runs, seed)
end

local function finish(plan, run)
  local root = context.root()
  tasks.give_way()
  if root.worker then root.worker:close() end
  root.endtime = time()
  root.duration = root.endtime - root.starttime
  busted.tell({ "suite", "end" }, root, run, plan.runs)
  busted.tell({ "suite", "report" }, root, run, plan.runs) -- what went wrong at the end is reported, too
end

local function once(plan, run, seed)
  local told = begin(plan, run, seed, function() attach_files(plan, seed) end)
  for _, problem in ipairs(plan.problems) do report(problem) end
  if told then blocks.inside(context.root()) end
  finish(plan, run)
end

-- A failure of a coroutine whose test has ended.
local function late(element, info)
  element = element or context.get()
  local text = "a coroutine failed after its " .. (element.leaf and "test" or "block") .. " ended: "
  local known = setmetatable({ kind = "error", late = true, message = text .. tostring(info.message) },
    { __index = info })
  busted.tell({ "error", element.descriptor }, element, context.parent(element), known.message, known)
end

-- A new order for each repetition.
local function another_seed(seed) return seed * 48271 % 2147483647 + 1 end

-- Runs the statements of -e.
local function run_statements(plan)
  for _, statement in ipairs(plan.statements) do
    local chunk, message = loadstring(statement, "=-e")
    local ok, wrong = false, message
    if chunk then ok, wrong = xpcall(chunk, tasks.catch) end
    if not ok then
      plan.problems[#plan.problems + 1] = "-e " .. statement .. ": " .. (chunk and tasks.caught(wrong).message or wrong)
      plan.files = {}
    end
  end
end

-- All that comes before the first file.  Reporting is up to the subscribers of the core.
local function prepare(plan)
  M.plan = plan
  blocks.register({ list = plan.list, shuffle_tests = plan.shuffle_tests, sort_tests = plan.sort_tests,
    seed = plan.seed, run_pending = plan.run_pending, timeout = plan.timeout, retries = plan.retries, revert = plan.revert, insulate_files = plan.insulate_files, strict = plan.strict })
  busted.set_filter(accepter(plan))
  tasks.install(late)
  if plan.bail then
    local function stop() busted.skipAll = true end
    busted.subscribe({ "failure" }, stop)
    busted.subscribe({ "error" }, stop)
  end
  run_statements(plan)
  helpers.load(plan)
end

-- Runs the plan.
function M.run(plan)
  prepare(plan)
  local seed = plan.seed
  for run = 1, plan.runs do
    if run == 1 or not busted.skipAll then once(plan, run, seed) end
    if not plan.seed_given then seed = another_seed(seed) end
  end
  busted.tell({ "exit" })
end

-- For a worker, which is told file by file what to run: enter(run, seed) begins a run unless it has begun, execute(path)
-- runs a file in it, leave() ends it.
function M.session(plan)
  prepare(plan)
  local session, current, root, fine = {}, nil, context.root(), false

  function session.leave()
    if not current then return end
    blocks.leave(root)
    finish(plan, current)
    current = nil
  end

  function session.enter(run, seed)
    if run == current then return end
    session.leave()
    current = run
    fine = begin(plan, run, seed, function() end) and blocks.enter(root)
  end

  function session.execute(path)
    attach_file(path)
    local children = context.children(root)
    if fine then busted.execute_one(children[#children]) end
    children[#children] = nil
  end

  return session
end

return M
