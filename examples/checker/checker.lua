-- Asks every target for a page, again and again, and keeps the last result of each for results.lua.
--
-- Each target has a coroutine of its own: two hundred of them wait at the same time, on one thread.

module(..., package.seeall)

-- The lines of the file of targets: NAME ADDRESS:PORT/PATH.
local function read_targets(path)
  local text, _, reason = mtev.readfile(path)
  if not text then error(path .. ": " .. reason, 0) end
  local targets, number = {}, 0
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    if line:find("^%s*[^#%s]") then
      local name, address, port, page = line:match("^%s*(%S+)%s+([^%s:/]+):(%d+)(/%S*)%s*$")
      if not name then error(path .. ":" .. number .. ": expected NAME ADDRESS:PORT/PATH, not " .. line, 0) end
      targets[#targets + 1] = { name = name, address = address, port = tonumber(port), page = page }
    end
  end
  return targets
end

local function check(target, timeout)
  local began = mtev.time()
  local ok, result = pcall(function()
    return mtev.Api:http(target.address, target.port):set_timeout(timeout):get(target.page)
  end)
  local code = ok and result:rc() or -1
  return {
    ok = code >= 200 and code < 400,
    code = code,
    took = mtev.time() - began,
    at = began,
    reason = code < 0 and tostring(ok and result:text() or result) or nil,
  }
end

local function watch(target, every, timeout, first)
  if mtev.stopping(first) then return end -- they do not all begin at once
  repeat
    local result = check(target, timeout)
    local before = mtev.shared_get("result " .. target.name)
    if before and before.ok ~= result.ok then
      mtev.log("error", "%s is %s: %s\n", target.name, result.ok and "well again" or "down", result.reason or result.code)
    end
    mtev.shared_set("result " .. target.name, result)
  until mtev.stopping(every)
end

function main()
  local targets = read_targets(mtev.conf("//checks/@targets"))
  local every, timeout = mtev.conf_get_number("//checks/@every"), mtev.conf_get_number("//checks/@timeout")
  local names = {}
  for i, target in ipairs(targets) do names[i] = target.name end
  mtev.shared_set("targets", names)
  for i, target in ipairs(targets) do
    mtev.coroutine_spawn(watch, target, every, timeout, every * (i - 1) / #targets)
  end
  mtev.log("error", "checking %d targets every %g s\n", #targets, every)
end
