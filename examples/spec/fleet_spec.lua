-- The checker and the statsd-like aggregator as real processes.  From the top of the checkout:
--     mtev-busted examples/spec

local function free_port()
  local socket = mtev.socket("inet", "udp")
  socket:bind("127.0.0.1", 0)
  local _, port = socket:sock_name()
  socket:close()
  return tostring(port)
end

-- Starts examples/NAME with *settings* in its environment, and waits until it listens and has said *ready* so many times.
local function start(name, settings, ready, times)
  settings.PORT = "0" -- the system chooses, and the program says which
  local env = {}
  for key, value in pairs(ENV) do if not settings[key] then env[#env + 1] = key .. "=" .. value end end
  for key, value in pairs(settings) do env[#env + 1] = key .. "=" .. value end
  local port
  local child = start_child({
    path = "luamtev", argv = { "luamtev", "-c", "examples/" .. name .. "/" .. name .. ".conf" }, env = env, logname = name,
    boot_match = function(line)
      port = port or tonumber(line:match("listening on 127%.0%.0%.1:(%d+)"))
      if line:find(ready) then times = times - 1 end
      return port and times == 0
    end,
    timeout = 30, dir = ENV.TMPDIR or "/tmp",
  })
  assert(child.proc, name .. " did not start")
  return child, API:new("127.0.0.1", port)
end

describe("the checker", function()
  local TARGETS = 200
  local checker, api, well, server
  local path = os.tmpname()

  setup(function()
    server = mtev.socket("inet")
    server:bind("127.0.0.1", 0)
    server:listen(256)
    local _, port = server:sock_name()
    well = true
    mtev.coroutine_spawn(function()
      local mine = server:own()
      while true do
        local peer = mine:accept()
        if not peer then return end
        mtev.coroutine_spawn(function()
          local own = peer:own()
          own:read("\r\n\r\n")
          local status = well and "200 OK" or "503 Service Unavailable"
          own:write("HTTP/1.1 " .. status .. "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
          own:close()
        end)
      end
    end)
    local lines = { "gone 127.0.0.1:1/" }
    for i = 2, TARGETS do lines[i] = ("target%d 127.0.0.1:%d/%d"):format(i, port, i) end
    assert(mtev.writefile(path, table.concat(lines, "\n")))
    checker, api = start("checker", { TARGETS = path, EVERY = "0.5" }, "checking %d+ targets", 1)
  end)

  teardown(function()
    kill_child(checker)
    mtev.unlink(path)
  end)

  local function results()
    local code, document = api:HTTP("GET", "/results")
    assert.equal(200, code)
    return document
  end

  it("has a result of each of 200 targets", function()
    assert.eventually(function() return results().checked == TARGETS end, 30)
    local all = results()
    assert.equal(TARGETS - 1, all.well)
    assert.is_false(all.results.gone.ok)
    assert.equal(200, all.results.target200.code)
  end)

  it("tells of one, and of one that there is not", function()
    local code, document = api:HTTP("GET", "/results/gone")
    assert.equal(200, code)
    assert.equal(-1, document.code)
    assert.equal(404, (api:HTTP("GET", "/results/nobody")))
  end)

  it("sees them go down and come back", function()
    well = false
    assert.eventually(function() return results().well == 0 end, 30)
    well = true
    assert.eventually(function() return results().well == TARGETS - 1 end, 30)
  end)
end)

describe("the aggregator", function()
  local statsd, api
  local port = free_port()

  setup(function() statsd, api = start("statsd", { STATSD_PORT = port }, "takes metrics", 2) end)
  teardown(function() kill_child(statsd) end)

  local function totals() return select(2, api:HTTP("GET", "/totals")) end

  local function send(packet)
    local client = mtev.socket("inet", "udp") -- another port each time: the system chooses the loop by it
    client:sendto(packet, "127.0.0.1", tonumber(port))
    client:close()
  end

  it("adds up over two loops what many clients send", function()
    local sent = 0
    assert.eventually(function() -- until both loops have had some
      send("hits:1|c\nsampled:1|c|@0.1\ntemperature:21.5|g\nlatency:" .. sent .. "|ms\nnonsense")
      sent = sent + 1
      return totals().loops == 2
    end, 30)
    assert.eventually(function() return totals().counters.hits == sent end, 30)
    local all = totals()
    assert.equal(10 * sent, all.counters.sampled)
    assert.equal(21.5, all.gauges.temperature)
    assert.same({ count = sent, sum = sent * (sent - 1) / 2, least = 0, most = sent - 1 }, all.timers.latency)
    assert.equal(sent, all.bad)
    send("depth:0|g\ndepth:-5|g\ndepth:+2|g") -- a client sends a negative gauge as two lines
    assert.eventually(function() return totals().gauges.depth == -3 end, 30)
  end)
end)
