-- GET /results: how many targets are well, and the last result of each.  GET /results/NAME: that of one.

module(..., package.seeall)

local function answer(http, code, value)
  http:status(code)
  http:header("Content-Type", "application/json")
  http:write(mtev.tojson(value):tostring() .. "\n")
  http:flush_end()
end

function handler(rest)
  local http = rest:http()
  local name = http:request():uri():match("^/results/(.+)$")
  if name then
    local result = mtev.shared_get("result " .. name)
    return answer(http, result and 200 or 404, result or { error = "no result of " .. name })
  end
  local results, checked, well = {}, 0, 0
  local names = mtev.shared_get("targets") or {}
  for _, each in ipairs(names) do
    local result = mtev.shared_get("result " .. each)
    results[each] = result
    if result then checked = checked + 1 end
    if result and result.ok then well = well + 1 end
  end
  answer(http, 200, { targets = #names, checked = checked, well = well, results = results })
end
