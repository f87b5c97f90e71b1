-- What happens when a file, a block, a test or a pending test is executed: the order of bodies and hooks.
--
--   block   body (which declares) · strict_setup · children · lazy_teardown · strict_teardown
--   test    lazy_setup of the blocks around it, once, from the outermost · before_each from the outermost · body ·
--           finally · after_each from the innermost
--
-- A failed setup skips the tests of its block, a failed before_each its test; what was set up is torn down nonetheless.

local use = ...
local busted = use("core")
local compare = use("luassert/compare")
local context = use("context")
local assert = use("luassert/assert")
local failure = use("failure")
local leaks = use("leaks")
local shuffle = use("shuffle")
local tasks = use("tasks")

local M = { options = {} }

local time = mtev.time

local function start(element)
  element.starttime = time()
end

local function finish(element)
  element.endtime = time()
  element.duration = element.endtime - element.starttime
end

-- Hooks ---------------------------------------------------------------------------------------------------------------

local function worker_of(block)
  block.worker = block.worker or tasks.worker(block)
  return block.worker
end

-- Runs the hooks of one kind of *block*; stops at the first that fails unless *all*.
local function run_hooks(kind, block, worker, all)
  local status = busted.status()
  for _, hook in ipairs(block[kind] or {}) do
    status:update(busted.safe(kind, hook.run, hook, worker))
    if not all and not status:success() then return status end
  end
  return status
end

local looked_at, found = nil, nil -- tests of one block come one after the other

-- The blocks around an element, outermost first.
local function ancestors(element)
  local block = context.parent(element)
  if block == looked_at then return found end
  local list = {}
  looked_at, found = block, list
  while block do
    table.insert(list, 1, block)
    block = context.parent(block)
  end
  return list
end

-- Whether every lazy_setup around a test has run, or runs now, without failure.
local function lazy_setup(blocks)
  for _, block in ipairs(blocks) do
    if block.lazy_state == nil then
      block.lazy_state = run_hooks("lazy_setup", block, worker_of(block)):success()
    end
    if not block.lazy_state then return false end
  end
  return true
end

local function tear_down(block)
  if block.lazy_state ~= nil then run_hooks("lazy_teardown", block, worker_of(block), true) end
  run_hooks("strict_teardown", block, worker_of(block), true)
end

-- Blocks --------------------------------------------------------------------------------------------------------------

local function order(block)
  local children = context.children(block)
  if M.options.sort_tests then shuffle.sort(children) end
  local seed = block.randomseed
  if seed == nil and M.options.shuffle_tests then seed = busted.randomseed end
  block.randomseed = seed or nil
  if seed then shuffle.shuffle(children, seed) end
end

-- Setup of a block whose body has run: whether its children may be executed.
function M.enter(block)
  block.lazy_state = nil
  return M.options.list or run_hooks("strict_setup", block, worker_of(block)):success()
end

-- Its teardown.
function M.leave(block)
  if not M.options.list then tear_down(block) end
end

-- Setup, children and teardown.
function M.inside(block)
  if M.enter(block) then busted.execute(block) end
  M.leave(block)
end

-- The seconds that a function of *element* may take: its own, those of the nearest block around it, or the plan's.
function M.limit_of(element)
  local each = element
  while each do
    if each.limit then return each.limit end
    each = context.parent(each)
  end
  return M.options.timeout
end

local function run_block(block, descriptor)
  if block.run and not busted.safe(descriptor, block.run, block, worker_of(block)):success() then
    worker_of(block):close()
    return
  end
  order(block)
  M.inside(block)
  worker_of(block):close()
end

local function describe(block)
  start(block)
  if busted.tell({ "describe", "start" }, block, context.parent(block)) then run_block(block, "describe") end
  finish(block)
  busted.tell({ "describe", "end" }, block, context.parent(block))
end

local function file(block)
  start(block)
  if busted.tell({ "file", "start" }, block) then
    if block.load_error then
      busted.report(block, block.load_error)
    else
      run_block(block, "file")
    end
  end
  finish(block)
  busted.tell({ "file", "end" }, block)
end

-- Tests ---------------------------------------------------------------------------------------------------------------

-- The names that only the body of a test finds.
local function set_names(test)
  test.env = test.env or {}
  test.env.pending = busted.pending
  local last = {}
  test.env.finally = function(f)
    if not compare.callable(f) then failure.raise("error", "'finally' needs a function, got " .. type(f)) end
    last[1] = f
  end
  return last
end

local function tell_end(test, status)
  finish(test)
  busted.tell({ "test", "end" }, test, context.parent(test), tostring(status))
end

-- The body of a test and what it wants done finally; returns the status.
local function body(test, worker)
  local status, told = busted.status(), true
  if test.try == 1 then
    start(test)
    told = busted.tell({ "test", "start" }, test, context.parent(test))
  end
  test.started = true
  local last = set_names(test)
  if not told then
    status:update("error")
  elseif test.run then
    status:update(busted.safe("it", test.run, test, worker))
  else
    status:update("pending")
    busted.tell({ "pending", "it" }, test, context.parent(test), "not written yet", {})
  end
  test.env.finally, test.env.pending = nil, nil
  if last[1] then status:update(busted.safe("finally", last[1], test, worker)) end
  return status
end

-- One try: before_each, the body, after_each.  ended(status) is called after the body.
local function try(test, blocks, ended)
  local worker, reached, status = tasks.worker(test), 0, busted.status()
  local snapshot = M.options.revert and assert:snapshot()
  for i, block in ipairs(blocks) do
    reached = i
    status:update(run_hooks("before_each", block, worker))
    if not status:success() then break end
  end
  if status:success() then
    status:update(body(test, worker))
    ended(status)
  end
  for i = reached, 1, -1 do status:update(run_hooks("after_each", blocks[i], worker, true)) end
  leaks.check(test) -- while the coroutine of the test lives: with it end its sockets
  worker:close()
  if snapshot then snapshot:revert() end
  test.env = nil
  return status
end

local FLAKY = 2 -- more tries for a test that says it is

local function tries_of(test)
  if M.options.retries then return 1 + M.options.retries end
  local name = busted.full_name(test)
  return name:find("#flaky", 1, true) and name:find("#flaky%f[^%w_-]") and 1 + FLAKY or 1
end

local function failed(status) return status:failure() or status:error() end

-- Tries a test until it passes, *most* times at most.  What went wrong in a try that is not the last is told as such.
local function retry(test, blocks, most)
  local status
  for i = 1, most do
    test.try, busted.held = i, {}
    status = try(test, blocks, function() end)
    local held = busted.held
    busted.held = nil
    local again = failed(status) and i < most and not busted.skipAll
    for _, each in ipairs(held) do
      each.info.try = i
      if again then
        busted.tell({ "retry", each.element.descriptor }, test, context.parent(test), each.info.message, each.info)
      else
        busted.report(each.element, each.info)
      end
    end
    if not again then break end
  end
  if test.started then tell_end(test, status) end
  leaks.tell(test)
end

local function it(test)
  test.leaf = true
  if M.options.list then
    busted.publish({ "test", "list" }, test, context.parent(test))
    return
  end
  local blocks = ancestors(test)
  if not lazy_setup(blocks) then return end
  local most = tries_of(test)
  if most > 1 then
    retry(test, blocks, most)
  else
    test.try = 1
    try(test, blocks, function(status) tell_end(test, status) end)
  end
end

local function pending(test)
  if M.options.run_pending and test.run then return it(test) end
  test.leaf = true
  if M.options.list then
    busted.tell({ "test", "list" }, test, context.parent(test))
    return
  end
  start(test)
  busted.tell({ "test", "start" }, test, context.parent(test))
  busted.tell({ "pending", "pending" }, test, context.parent(test), nil, {})
  finish(test)
  busted.tell({ "test", "end" }, test, context.parent(test), "pending")
end

-- randomize(), randomize(seed), randomize(true, seed): a random order of the children of the block that declares it;
-- randomize(false), randomize(nil): none.
local function randomize(...)
  local first, second = ...
  local block = context.get()
  if block.leaf then failure.raise("error", "'randomize' not supported inside current context block") end
  if first and first ~= true and not tonumber(first) then
    failure.raise("error", "'randomize' needs a seed, got " .. type(first))
  end
  if select("#", ...) > 0 and not first then
    block.randomseed = false
  else
    block.randomseed = tonumber(first) or tonumber(second) or busted.randomseed
  end
end

-- timeout(seconds): what every function of a block may take, or the running test from now on.
local function timeout(seconds)
  if type(seconds) ~= "number" or not (seconds > 0) then
    failure.raise("error", "'timeout' needs a number of seconds, got " .. tostring(seconds))
  end
  local element = context.get()
  element.limit = seconds
  if element.leaf then
    busted.on_limit(seconds)
    tasks.limit(seconds)
  end
end

-- Makes the kinds of busted known.  options: list, shuffle_tests, sort_tests, seed, run_pending, insulate_files, timeout,
-- retries, revert.
function M.register(options)
  M.options = options
  busted.randomseed = options.seed
  busted.register("file", file, { envmode = options.insulate_files and "insulate" or nil })
  busted.hide("file")
  busted.register("describe", describe)
  busted.register("insulate", "describe", { envmode = "insulate" })
  busted.register("expose", "describe", { envmode = "expose" })
  busted.register("it", it)
  busted.register("pending", pending)
  for _, hook in ipairs({ "before_each", "after_each", "lazy_setup", "lazy_teardown", "strict_setup",
    "strict_teardown" }) do
    busted.register(hook, { envmode = "unwrap" })
  end
  busted.alias("context", "describe")
  busted.alias("spec", "it")
  busted.alias("test", "it")
  busted.alias("setup", options.strict and "strict_setup" or "lazy_setup")
  busted.alias("teardown", options.strict and "strict_teardown" or "lazy_teardown")
  busted.exportApi("randomize", randomize)
  busted.export("timeout", timeout)
  busted.limit_of = M.limit_of
  busted.export("randomize", randomize)
end

return M
