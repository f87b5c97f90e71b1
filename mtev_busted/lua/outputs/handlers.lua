-- What output handlers written for busted build on: `require "busted.outputHandlers.base"` gives a function that makes a
-- handler, with the results so far and what is needed to report them; and our own outputs under busted's names.

local use, plan = ...
local busted = use("core")

local M = {}

-- The options a handler is made with.
function M.options(from)
  return { verbose = from.verbose, suppressPending = from.suppress_pending, language = "en", deferPrint = false,
    arguments = from.output_arguments }
end

local lists = { success = "successes", pending = "pendings", failure = "failures", error = "errors" }

local function empty(handler)
  for _, list in pairs(lists) do handler[list], handler[list .. "Count"] = {}, 0 end
  handler.inProgress = {}
end

local function add(handler, kind, entry)
  local list = lists[kind]
  table.insert(handler[list], entry)
  handler[list .. "Count"] = handler[list .. "Count"] + 1
end

local function without_functions(element)
  local copy = {}
  for key, value in next, element do
    if type(value) ~= "function" and key ~= "env" and key ~= "worker" and key ~= "entries" then copy[key] = value end
  end
  return copy
end

-- A handler: lists successes, pendings, failures, errors of formatted results, and their counts.
local function new_handler()
  local handler = { options = M.options(plan) }
  empty(handler)

  function handler.cancelOnPending(element, _, status)
    local is_pending = element.descriptor == "pending" or status == "pending"
    return not (is_pending and handler.options.suppressPending)
  end

  function handler.getFullName(element) return busted.full_name(element) end

  function handler.format(element, parent, message, trace, is_error)
    local formatted = { trace = trace or element.trace, element = without_functions(element),
      name = handler.getFullName(element), message = message, randomseed = parent and parent.randomseed,
      isError = is_error }
    formatted.element.trace = element.trace or trace
    return formatted
  end

  -- Seconds the suite took.
  function handler.getDuration()
    return handler.startTick and handler.endTick and handler.endTick - handler.startTick or 0
  end

  function handler.baseSuiteReset()
    empty(handler)
    return nil, true
  end

  function handler.baseSuiteStart(suite)
    handler.startTick, handler.startTime = suite.starttime, suite.starttime
    return nil, true
  end

  function handler.baseSuiteEnd(suite)
    handler.endTick, handler.endTime = suite.endtime, suite.endtime
    return nil, true
  end

  function handler.baseTestStart(element)
    handler.inProgress[element] = {}
    return nil, true
  end

  function handler.basePending(element, _, message, trace)
    local known = handler.inProgress[element]
    if known then known.message, known.trace = message, trace end
    return nil, true
  end

  function handler.baseTestEnd(element, parent, status, trace)
    local known = handler.inProgress[element] or {}
    handler.inProgress[element] = nil
    if status == "success" or status == "pending" then
      local formatted = handler.format(element, parent, known.message, trace or known.trace)
      add(handler, status, formatted)
    end
    return nil, true
  end

  function handler.baseTestFailure(element, parent, message, trace)
    add(handler, "failure", handler.format(element, parent, message, trace))
    return nil, true
  end

  function handler.baseTestError(element, parent, message, trace)
    add(handler, "error", handler.format(element, parent, message, trace, true))
    return nil, true
  end

  function handler.baseError(element, parent, message, trace)
    if element.descriptor ~= "it" then handler.baseTestError(element, parent, message, trace) end
    return nil, true
  end

  -- Has the lists filled, before the handler's own subscriptions are served.
  function handler:subscribe(options)
    handler.options = options or handler.options
    local first = { priority = 1 }
    local shown = { priority = 1, predicate = handler.cancelOnPending }
    busted.subscribe({ "suite", "reset" }, handler.baseSuiteReset, first)
    busted.subscribe({ "suite", "start" }, handler.baseSuiteStart, first)
    busted.subscribe({ "suite", "end" }, handler.baseSuiteEnd, first)
    busted.subscribe({ "test", "start" }, handler.baseTestStart, shown)
    busted.subscribe({ "test", "end" }, handler.baseTestEnd, shown)
    busted.subscribe({ "pending" }, handler.basePending, shown)
    busted.subscribe({ "failure", "it" }, handler.baseTestFailure, first)
    busted.subscribe({ "error", "it" }, handler.baseTestError, first)
    busted.subscribe({ "failure" }, handler.baseError, first)
    busted.subscribe({ "error" }, handler.baseError, first)
  end

  return handler
end

local own = { TAP = "tap", gtest = "gtest", json = "json", junit = "junit", plainTerminal = "plain",
  utfTerminal = "plain" }

-- Makes the modules known by their names.
function M.publish()
  package.loaded["busted.outputHandlers.base"] = new_handler
  for name, file in pairs(own) do
    package.preload["busted.outputHandlers." .. name] = function()
      return function()
        use("outputs/" .. file)
        return new_handler()
      end
    end
  end
  package.loaded["busted.languages.en"] = { failure_messages = {}, success_messages = {} }
end

return M
