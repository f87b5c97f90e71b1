-- The names by which helpers read their arguments (-Xhelper, in `arg`): cli_option, nextarg, parsecli, usage.

local use = ...
local busted = use("core")
local failure = use("failure")

local options, order = {}, {}

-- Makes an option known: flag without dashes; help, value (the name of the value it takes, if any), default.
local function cli_option(flag, about)
  if type(flag) ~= "string" then failure.refuse(1, "cli_option", "string", type(flag)) end
  if not options[flag] then order[#order + 1] = flag end
  options[flag] = about or {}
end

-- The next argument, which is taken; nil when there is none.
local function nextarg() return table.remove(arg, 1) end

-- Logs what is wrong and the options there are, and ends the run.
local function usage(wrong)
  local lines = { wrong or "usage:" }
  for _, flag in ipairs(order) do
    local about = options[flag]
    lines[#lines + 1] = ("  -%s%s\t%s"):format(flag, about.value and " " .. about.value or "", about.help or "")
  end
  mtev.log("error", "%s\n", table.concat(lines, "\n"))
  error(wrong or "usage", 0)
end

-- Takes every argument: a table of the values of options, true for those that take none, defaults for those not given.
local function parsecli()
  local values = {}
  for flag, about in pairs(options) do values[flag] = about.default end
  for word in nextarg do
    local flag = word:match("^%-%-?(.+)$")
    local about = options[flag]
    if not about then usage("unknown argument: " .. word) end
    local value = true
    if about.value then value = nextarg() or usage("missing value: " .. word) end
    values[flag] = value
  end
  return values
end

busted.export_global("cli_option", cli_option)
busted.export_global("nextarg", nextarg)
busted.export_global("parsecli", parsecli)
busted.export_global("usage", usage)
