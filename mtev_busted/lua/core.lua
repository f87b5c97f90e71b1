-- The busted object: kinds of elements are registered here, elements made, run and reported.  What a kind does when it
-- is executed is in blocks.lua.

local use = ...
local context = use("context")
local failure = use("failure")
local mediator = use("mediator")
local tasks = use("tasks")
local compare = use("luassert/compare")

local busted = {
  version = "2.2.0", -- of the interface
  context = context,
  environment = context.environment,
  executors = {},
  api = {},
  subscribe = mediator.subscribe,
  unsubscribe = mediator.unsubscribe,
  publish = mediator.publish,
  wrap = context.wrap,
  parent = context.parent,
  children = context.children,
  gettime = mtev.time,
  monotime = mtev.time,
  sleep = mtev.sleep,
  skipAll = false,
  limit_of = function() end, -- the seconds an element may take
  on_limit = function() end, -- called with the seconds that what runs now may take, or nil
}

local executor_of = {} -- descriptor -> function(element)
local registered = {} -- descriptors whose elements are attached when they are made
local hooks = {} -- descriptor -> true, of those without an executor
local descriptor_of = {} -- name -> the kind that it makes
local attributes_of = {} -- name -> the attributes it was registered with
local accepts = function() return true end -- whether an element is to be attached

-- Raise, inside a test ------------------------------------------------------------------------------------------------

-- Fails the running test.
function busted.fail(message) failure.raise("failure", message == nil and "failed" or message) end

-- Ends the running test as pending.
function busted.pending(message) failure.raise("pending", message == nil and "pending" or message) end

-- Status --------------------------------------------------------------------------------------------------------------

local severity = { success = 1, pending = 2, failure = 3, error = 4 }

local Status = { __tostring = function(self) return self.name end }
Status.__index = Status

function Status:success() return self.name == "success" end
function Status:pending() return self.name == "pending" end
function Status:failure() return self.name == "failure" end
function Status:error() return self.name == "error" end

-- Takes on *other* (a status or its name) when that is worse.
function Status:update(other)
  other = tostring(other)
  if severity[other] > severity[self.name] then self.name = other end
  return self
end

function busted.status(name)
  local status = setmetatable({ name = "success" }, Status)
  return status:update(name or "success")
end

-- Elements ------------------------------------------------------------------------------------------------------------

local function refuse(descriptor)
  failure.raise("error", "'" .. descriptor .. "' not supported inside current context block")
end

local CALLER = 4 -- the level, for failure.location, of who calls what publisher_of makes

local function new_element(descriptor, attributes, name, fn)
  local file, line, source = failure.location(0, CALLER)
  return { descriptor = descriptor, attributes = attributes, name = name, run = fn,
    trace = { short_src = file, currentline = line, source = source } }
end

-- What specs call to make an element.  Without a function the element waits for one: `it "works" (function() … end)`.
local function publisher_of(publisher_name, descriptor, attributes)
  return function(name, fn)
    if fn == nil and compare.callable(name) then name, fn = nil, name end
    local current = context.get()
    if current.leaf then refuse(publisher_name) end
    if fn ~= nil and not compare.callable(fn) then
      failure.raise("error", "'" .. publisher_name .. "' needs a function, got " .. type(fn))
    end
    local element = new_element(descriptor, attributes, name ~= nil and tostring(name) or nil,
      fn and context.wrap(fn) or attributes.default_fn)
    busted.publish({ "register", descriptor }, element)
    if fn ~= nil then return end
    return function(late)
      if not compare.callable(late) then
        failure.raise("error", "'" .. publisher_name .. "' needs a function, got " .. type(late))
      end
      element.run = context.wrap(late)
    end
  end
end

local function attach(element)
  local descriptor = element.descriptor
  if hooks[descriptor] then
    element.leaf, element.hook = true, true
    local block = context.get()
    context.attach(element)
    block[descriptor] = block[descriptor] or {}
    table.insert(block[descriptor], element)
  elseif accepts(element) then
    context.attach(element)
  end
end

local function offer(name, publisher)
  busted.executors[name], busted.api[name] = publisher, publisher
  if busted[name] == nil then busted[name] = publisher end
  context.export(name, publisher)
end

-- Makes a kind of element known to specs: register(name, executor[, attributes]), register(name, kind[, attributes])
-- for another spelling with attributes of its own, register(name[, attributes]) for a hook.
function busted.register(name, executor, attributes)
  if type(name) ~= "string" then error("busted.register: a name is expected, got " .. type(name), 2) end
  local descriptor = name
  if type(executor) == "string" then
    descriptor = executor
    attributes = attributes or attributes_of[descriptor]
    if not executor_of[descriptor] and not hooks[descriptor] then
      error("busted.register: no kind '" .. descriptor .. "'", 2)
    end
  elseif compare.callable(executor) then
    executor_of[descriptor] = executor
  else
    attributes = executor or attributes
    hooks[descriptor] = true
  end
  attributes_of[name], descriptor_of[name] = attributes or {}, descriptor
  offer(name, publisher_of(name, descriptor, attributes or {}))
  if descriptor == name and not registered[name] then
    registered[name] = true
    busted.subscribe({ "register", descriptor }, attach)
  end
end

-- Another name for a registered one.
function busted.alias(name, original)
  if not busted.executors[original] then error("busted.alias: no '" .. tostring(original) .. "'", 2) end
  offer(name, publisher_of(name, descriptor_of[original], attributes_of[original]))
  descriptor_of[name], attributes_of[name] = descriptor_of[original], attributes_of[original]
end

-- Takes a name away from specs.
function busted.hide(name)
  context.export(name, nil)
  busted.executors[name], busted.api[name] = nil, nil
end

function busted.export(name, value) context.export(name, value) end

function busted.exportApi(name, value)
  if busted[name] == nil then busted[name] = value end
  busted.api[name] = value
end

-- Offers *value* to everybody: specs, the modules they load, and helpers, which may put something else in its place.
function busted.export_global(name, value) rawset(_G, name, value) end

-- Has a function see *value* under a global name, and all else as before.
function busted.bindfenv(callable, name, value)
  local f = type(callable) == "function" and callable or debug.getmetatable(callable).__call
  setfenv(f, setmetatable({ [name] = value }, { __index = getfenv(f) }))
end

-- Decides which elements count: accept(element) is asked before one is attached to the running element.
function busted.set_filter(accept) accepts = accept end

-- The names from the file's blocks down to *element*, joined by blanks.
function busted.full_name(element)
  local full
  local each = element
  local parent = context.parent(element) or each ~= context.get() and context.get()
  while each do
    if each.descriptor ~= "file" and each.descriptor ~= "suite" then
      local name = each.name or each.descriptor
      full = full and name .. " " .. full or name
    end
    each, parent = parent, parent and context.parent(parent)
  end
  return full or ""
end

-- Running -------------------------------------------------------------------------------------------------------------

-- Reports what went wrong with *element*: publishes {kind, descriptor}.  While a test may be tried again, it is held back.
function busted.report(element, info)
  if busted.held and element.descriptor ~= "suite" then
    table.insert(busted.held, { element = element, info = info })
    return
  end
  busted.tell({ info.kind, element.descriptor }, element, context.parent(element), info.message, info)
end

-- Runs a function of a spec on behalf of *element*, in *worker* (by default, one of its own).  Returns its status;
-- failures are reported.  Only in a test's own body is a failed assertion a failure: elsewhere it is an error.
function busted.safe(descriptor, run, element, worker)
  local own = not worker and tasks.worker(element)
  local limit = busted.limit_of(element)
  context.push(element)
  if limit then busted.on_limit(limit) end
  local ok, info = (worker or own):call(run, limit)
  if limit or element.limit then busted.on_limit(nil) end
  context.pop()
  if own then own:close() end
  if ok then return busted.status("success") end
  if info.kind == "failure" and descriptor ~= "it" then info.kind = "error" end
  busted.report(element, info)
  return busted.status(info.kind)
end

local function subscriber_failed(channel, element, info)
  info.kind = "error"
  info.message = "a subscriber to " .. table.concat(channel, " ") .. " failed: " .. info.message
  if channel[1] == "error" or channel[1] == "exit" then
    busted.wreck(info)
  else
    local name = type(element) == "table" and element.name or nil
    busted.report({ descriptor = "suite", name = name or "subscriber", attributes = {}, trace = {} }, info)
  end
end

-- What subscribers may not stop: a message about *element*, with three more values, reaches all of them, and an error in
-- one is an error of the suite.  Returns whether there was none.
function busted.tell(channel, element, a, b, c)
  local wrong = mediator.deliver(channel, tasks.catch, element, a, b, c)
  if not wrong then return true end
  for _, info in ipairs(wrong) do subscriber_failed(channel, element, tasks.caught(info)) end
  return false
end

-- Notes an error that no subscriber can be told of.
function busted.wreck(info)
  busted.wrecked = true
  io.stderr:write("mtev-busted: ", info.message, "\n", info.traceback or "", "\n")
end

-- Executes the children of *element* (by default, of the running one).
function busted.execute(element)
  for _, child in ipairs(context.children(element or context.get())) do busted.execute_one(child) end
end

-- Executes one element.
function busted.execute_one(child)
  local executor = executor_of[child.descriptor]
  if not executor or busted.skipAll then return end
  local depth = context.push(child)
  local ok, info = xpcall(executor, tasks.catch, child)
  while context.depth() >= depth do context.pop() end
  if not ok then busted.report(child, tasks.caught(info)) end
end

return busted
