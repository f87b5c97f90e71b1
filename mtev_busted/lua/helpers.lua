-- Runs the helpers, files or modules that come before any spec.

local use = ...
local busted = use("core")
local context = use("context")
local failure = use("failure")
local tasks = use("tasks")

local M = {}

local function run(helper, plan)
  local result
  if helper:find("%.lua$") then
    local chunk, message = loadfile(helper)
    if not chunk then failure.raise("error", message) end
    result = setfenv(chunk, context.helper_environment)(unpack(plan.helper_arguments))
  else
    result = require(helper)
  end
  if type(result) == "function" then
    context.wrap(result)
    result(busted, helper, { verbose = plan.verbose, language = "en", arguments = plan.helper_arguments })
  end
end

-- Loads each helper, with its arguments in `arg`; a function that it returns is called with the runner, the helper's name
-- and the options.  What goes wrong is an error of the run, which then has no tests.
function M.load(plan)
  local arguments = arg
  for _, helper in ipairs(plan.helpers) do
    local worker = tasks.worker(context.root())
    arg = { [0] = helper, unpack(plan.helper_arguments) }
    local ok, info = worker:call(function() run(helper, plan) end)
    worker:close()
    if not ok then
      plan.problems[#plan.problems + 1] = "helper " .. helper .. ": " .. info.message .. "\n" .. info.traceback
      plan.files = {}
      break
    end
  end
  arg = arguments
end

return M
