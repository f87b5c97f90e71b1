-- Coroutines, timers, notifications, logs and configuration on the event loop.  Run it with `luamtev examples/hello.lua`.
module(..., package.seeall)

-- A coroutine that ticks: it sleeps without blocking anyone, and tells the others.
local function ticker(name, interval, times)
  for i = 1, times do
    mtev.sleep(interval)
    mtev.notify("tick", name, i)
  end
  mtev.notify("tick", name, "done")
end

function main()
  local _, _, thread = mtev.thread_self()
  print("hello from " .. thread .. ", one of " .. mtev.eventer_loop_concurrency() .. " loop thread(s)")
  print("running " .. mtev.conf("//generic[@name='lua_general']/config/lua_function"))

  mtev.coroutine_spawn(ticker, "fast", 0.02, 4)
  mtev.coroutine_spawn(ticker, "slow", 0.05, 2)

  local running = 2
  while running > 0 do
    local key, name, what = mtev.waitfor("tick", 1)
    if not key then error("no tick for a second") end
    print(name, what)
    if what == "done" then running = running - 1 end
  end

  local answer = mtev.waitfor("silence", 0.01)
  print("nobody answers: " .. tostring(answer))
  mtev.log("error", "this line went to the log stream %s\n", "error")
  mtev.log("debug", "this one is not written: %s is disabled\n", "debug")
  os.exit(0)
end
