-- Takes metrics over UDP, as statsd does, on every loop: NAME:VALUE|c, |g or |ms, with |@RATE for counters that were sampled.
-- A gauge with a sign, +5 or -5, is changed by that much.
--
-- Each loop thread has a socket of its own on the same port, and the system spreads clients over them.  A loop adds up what
-- comes to it and publishes that a few times a second, for totals.lua to put together.

module(..., package.seeall)

local PUBLISH = 0.2 -- seconds

local sums = { counters = {}, gauges = {}, timers = {}, lines = 0, bad = 0 }
local changed = false

local function take(line)
  local name, text, kind, rate = line:match("^([^:|]+):([+-]?[%d.eE+-]+)|(%a+)|?@?([%d.]*)$")
  local value = tonumber(text)
  rate = rate == "" and 1 or tonumber(rate)
  changed = true
  if not (name and value and rate and rate > 0) then
    sums.bad = sums.bad + 1
  elseif kind == "c" then
    sums.counters[name] = (sums.counters[name] or 0) + value / rate
  elseif kind == "g" then
    local known = text:find("^[+-]") and sums.gauges[name]
    sums.gauges[name] = { value = known and known.value + value or value, at = mtev.time() }
  elseif kind == "ms" then
    local timer = sums.timers[name] or { count = 0, sum = 0, least = value, most = value }
    timer.count, timer.sum = timer.count + 1, timer.sum + value
    timer.least, timer.most = math.min(timer.least, value), math.max(timer.most, value)
    sums.timers[name] = timer
  else
    sums.bad = sums.bad + 1
  end
  sums.lines = sums.lines + 1
end

local function publish()
  local _, index = mtev.thread_self()
  repeat
    if changed then mtev.shared_set("sums " .. index, sums) end
    changed = false
  until mtev.stopping(PUBLISH)
end

function main()
  local address, port = mtev.conf("//statsd/@address"), mtev.conf_get_integer("//statsd/@port")
  local socket = mtev.socket(address, "udp")
  socket:setsockopt("SO_REUSEPORT", 1)
  local rc, reason = socket:bind(address, port)
  if rc ~= 0 then error("cannot take metrics on " .. address .. ":" .. port .. ": " .. reason, 0) end
  mtev.coroutine_spawn(publish)
  mtev.log("error", "%s takes metrics\n", select(3, mtev.thread_self()))
  while true do
    local n, packet = socket:recv(65536)
    if n < 0 then error("no more metrics: " .. tostring(packet), 0) end
    for line in packet:gmatch("[^\r\n]+") do take(line) end
  end
end
