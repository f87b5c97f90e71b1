-- Which output reports the run: one of our own, or a handler that the user wrote for busted.

local use = ...
local tasks = use("tasks")
local handlers = use("outputs/handlers")

local M = {}

local FALLBACK = "plain"

-- What a handler of the user's gives: a function(options) that returns the handler.
local function find(name)
  if name:find("%.lua$") then return assert(loadfile(name))() end
  local ok, result = pcall(require, "busted.outputHandlers." .. name)
  if ok then return result end
  if not tostring(result):find("^module '.-' not found:") then error(result, 0) end
  return require(name)
end

-- Makes the output of the plan subscribe.  One that cannot be loaded is an error of the run.
function M.load(plan)
  handlers.publish()
  if plan.output ~= "" then
    use("outputs/" .. plan.output)
    return
  end
  local name, options = plan.output_handler, handlers.options(plan)
  local ok, info = xpcall(function()
    local handler = find(name)(options)
    if type(handler) ~= "table" then error("it returned no handler", 0) end
    if handler.subscribe then handler:subscribe(options) end
  end, tasks.catch)
  if ok then return end
  io.stderr:write("mtev-busted: error: Cannot load output library: ", name, "\n", info.message, "\n")
  plan.problems[#plan.problems + 1] = "Cannot load output library: " .. name .. "\n" .. info.message
  plan.output = FALLBACK
  use("outputs/" .. FALLBACK)
end

return M
