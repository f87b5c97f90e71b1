-- The output for GitHub Actions: the plain one, and an annotation at the line of each failure and error.

local use = ...
local base = use("outputs/base")
local busted = use("core")

use("outputs/plain")

local function data(text) return (text:gsub("%%", "%%25"):gsub("\r", "%%0D"):gsub("\n", "%%0A")) end

local function property(text) return (data(text):gsub(":", "%%3A"):gsub(",", "%%2C")) end

local levels = { failures = "error", errors = "error", retries = "warning", leaks = "warning" }

busted.subscribe({ "suite", "report" }, function()
  for _, list in ipairs({ "failures", "errors", "retries", "leaks" }) do
    for _, entry in ipairs(base.results[list]) do
      local file, line = entry.at_file or entry.file, entry.at_line or entry.line
      local where = file and (" file=%s,line=%d,"):format(property(file), line or 1) or " "
      base.write(("::%s%stitle=%s::%s\n"):format(levels[list], where, property((entry.name or "") .. base.try(entry)),
        data(base.details(entry, true))))
    end
  end
  base.flush()
end)
