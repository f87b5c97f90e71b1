-- 10,000 connections to one state, each with a coroutine that reads it; 1,000 of them talk.  Two processes, started by
-- connections.py: `connections.lua serve` prints its port and echoes lines, `connections.lua PORT` connects and measures.
module(..., package.seeall)

local CONNECTIONS, ACTIVE, ROUNDS = 10000, 1000, 100

local function now()
  local s, u = mtev.gettimeofday()
  return s + u / 1e6
end

local function resident()
  collectgarbage()
  for line in io.lines("/proc/self/status") do
    local kilobytes = line:match("^VmRSS:%s*(%d+)")
    if kilobytes then return tonumber(kilobytes) * 1024 end
  end
end

local function serve()
  local listener = mtev.socket("inet")
  listener:bind("127.0.0.1", 0)
  listener:listen(4096)
  print((select(2, listener:sock_name())))
  while true do
    local peer = assert(listener:accept())
    mtev.coroutine_spawn(function()
      local mine = peer:own()
      while true do
        local line = mine:read("\n")
        if not line then return mine:close() end
        mine:write(line == "resident\n" and resident() .. "\n" or line)
      end
    end)
  end
end

local function talk(client, left)
  mtev.coroutine_spawn(function()
    local mine = client:own()
    local line = string.rep("x", 63) .. "\n"
    for _ = 1, ROUNDS do
      mine:write(line)
      assert(mine:read("\n") == line)
    end
    left.count = left.count - 1
    left[#left + 1] = mine
    if left.count == 0 then mtev.notify("done") end
  end)
end

local function measure(port)
  local function connect()
    local client = mtev.socket("inet")
    local rv, why = client:connect("127.0.0.1", port)
    assert(rv == 0, why)
    return client
  end
  local control = connect()
  local function server_resident()
    control:write("resident\n")
    return tonumber(control:read("\n"))
  end
  local before, start, clients = server_resident(), now(), {}
  for i = 1, CONNECTIONS do clients[i] = connect() end
  local idle = server_resident() -- answered after all of them were accepted
  print(string.format("connections_per_s %.0f", CONNECTIONS / (now() - start)))
  print(string.format("bytes_per_idle_connection %.0f", (idle - before) / CONNECTIONS))
  local talked = {}
  for round = 1, 5 do
    local left = { count = ACTIVE }
    start = now()
    for i = 1, ACTIVE do talk(talked[i] or clients[i * (CONNECTIONS / ACTIVE)], left) end
    mtev.waitfor("done")
    talked = left
    if round == 1 or round == 5 then
      print(string.format("active_rtt_per_s_round_%d %.0f", round, ACTIVE * ROUNDS / (now() - start)))
      print(string.format("bytes_per_connection_round_%d %.0f", round, (server_resident() - before) / CONNECTIONS))
    end
  end
end

function main()
  if arg[2] == "serve" then return serve() end
  measure(tonumber(arg[2]))
  os.exit(0)
end
