-- GET /totals: what all loops have added up.

module(..., package.seeall)

local function add(all, sums)
  all.lines, all.bad = all.lines + sums.lines, all.bad + sums.bad
  for name, value in pairs(sums.counters) do all.counters[name] = (all.counters[name] or 0) + value end
  for name, gauge in pairs(sums.gauges) do
    local known = all.gauges[name]
    if not known or known.at < gauge.at then all.gauges[name] = gauge end
  end
  for name, timer in pairs(sums.timers) do
    local known = all.timers[name]
    if known then
      known.count, known.sum = known.count + timer.count, known.sum + timer.sum
      known.least, known.most = math.min(known.least, timer.least), math.max(known.most, timer.most)
    else
      all.timers[name] = timer
    end
  end
end

function handler(rest)
  local http = rest:http()
  local all = { counters = {}, gauges = {}, timers = {}, lines = 0, bad = 0, loops = 0 }
  for index = 0, mtev.eventer_loop_concurrency() - 1 do
    local sums = mtev.shared_get("sums " .. index)
    if sums then
      add(all, sums)
      all.loops = all.loops + 1
    end
  end
  for name, gauge in pairs(all.gauges) do all.gauges[name] = gauge.value end
  http:header("Content-Type", "application/json")
  http:write(mtev.tojson(all):tostring() .. "\n")
  http:flush_end()
end
