-- contract: Coroutines, time, notification (manual: mtev.waitfor, mtev.sleep, mtev.cancel_coro)

describe("mtev.coroutine_spawn", function()
  it("runs the function at once, up to its first suspension", function()
    local trace = {}
    mtev.coroutine_spawn(function()
      trace[#trace + 1] = "before"
      mtev.sleep(0)
      trace[#trace + 1] = "after"
      mtev.notify("spawn-done")
    end)
    trace[#trace + 1] = "caller"
    mtev.waitfor("spawn-done", 5)
    assert.are.same({ "before", "caller", "after" }, trace)
  end)

  it("passes its arguments on, nils in the middle and at the end too", function()
    local count, seen
    mtev.coroutine_spawn(function(...) count, seen = select("#", ...), { ... } end, 1, nil, "x", nil)
    assert.are.equal(4, count)
    assert.are.equal("x", seen[3])
  end)

  it("returns nothing", function()
    assert.are.equal(0, select("#", mtev.coroutine_spawn(function() return 1 end)))
  end)

  it("raises when its first argument is no function", function()
    assert.error_matches(function() mtev.coroutine_spawn("x") end, "mtev%.coroutine_spawn%(func, %.%.%.%): bad arguments")
    assert.has_error(function() mtev.coroutine_spawn() end)
    assert.has_error(function() mtev.coroutine_spawn(setmetatable({}, { __call = function() end })) end)
  end)

  it("nests as deep as anyone likes", function()
    local deepest = 0
    local function descend(n)
      deepest = n
      if n < 20000 then mtev.coroutine_spawn(descend, n + 1) end
    end
    mtev.coroutine_spawn(descend, 1)
    assert.are.equal(20000, deepest)
  end)
end)

describe("mtev.sleep", function()
  it("returns the time slept as a timeval", function()
    local slept = mtev.sleep(0.01)
    assert.is_true(slept:seconds() >= 0.0099)
    assert.are.equal(0, slept.sec)
  end)

  it("of 0 lets every other ready coroutine have its turn", function()
    local order = {}
    for i = 1, 3 do
      mtev.coroutine_spawn(function()
        for turn = 1, 2 do
          mtev.sleep(0)
          order[#order + 1] = i .. ":" .. turn
        end
      end)
    end
    mtev.sleep(0) mtev.sleep(0) mtev.sleep(0)
    assert.are.same({ "1:1", "2:1", "3:1", "1:2", "2:2", "3:2" }, order)
  end)

  it("takes a number in text; what is no number counts as 0", function()
    assert.is_truthy(mtev.sleep("0"))
    assert.is_true(mtev.sleep("0.01"):seconds() >= 0.0099)
    assert.is_true(mtev.sleep():seconds() < 1)
    for _, duration in ipairs({ "soon", true, {}, print, 0 / 0 }) do
      assert.is_true(mtev.sleep(duration):seconds() < 1)
    end
  end)

  it("of less than 0 is a sleep of 0", function()
    assert.is_true(mtev.sleep(-1):seconds() < 1)
  end)

  it("wakes in order of the deadlines, whatever the order of the calls", function()
    local order, left, start = {}, 5, mtev.time()
    for _, ms in ipairs({ 40, 10, 50, 20, 30 }) do
      mtev.coroutine_spawn(function()
        mtev.sleep(start + ms / 250 - mtev.time())
        order[#order + 1] = ms
        left = left - 1
        if left == 0 then mtev.notify("ordered") end
      end)
    end
    mtev.waitfor("ordered", 5)
    assert.are.same({ 10, 20, 30, 40, 50 }, order)
  end)
end)

describe("deadlines", function()
  it("fire in order and are forgotten when somebody leaves early, in any mixture", function()
    math.randomseed(20240117)
    local last, woken, expected, answered, left = 0, 0, 0, 0, 0
    local sleepers = {}
    for i = 1, 3000 do
      local delay = math.random(1, 60) / 1000
      local kind = math.random(3)
      left = left + 1
      mtev.coroutine_spawn(function()
        sleepers[i] = { co = coroutine.running(), kind = kind, key = "early" .. i }
        local before = mtev.time() -- the deadline is no earlier than that much later
        if kind == 3 then
          local key = mtev.waitfor("early" .. i, delay)
          if key then answered = answered + 1 else assert(mtev.time() >= before + delay - 0.001) end
        else
          local slept = mtev.sleep(delay):seconds()
          local now = mtev.time() -- and no later than this less what was slept
          assert(now >= before + delay - 0.001, "too early")
          assert(now - slept + delay >= last - 0.001, "out of order")
          last, woken = before + delay, woken + 1
        end
        left = left - 1
      end)
      if kind ~= 3 then expected = expected + 1 end
    end
    local notified = 0
    for i = 1, 3000 do
      local each = sleepers[i]
      if math.random(3) == 1 then
        if each.kind == 3 then
          mtev.notify(each.key)
          notified = notified + 1
        else
          mtev.cancel_coro(each.co)
          expected, left = expected - 1, left - 1
        end
      end
    end
    for _ = 1, 200 do
      if left == 0 then break end
      mtev.sleep(0.01)
    end
    assert.are.equal(0, left)
    assert.are.equal(expected, woken)
    assert.is_true(answered <= notified)
  end)
end)

describe("mtev.waitfor and mtev.notify", function()
  it("hand over the key and every value", function()
    mtev.coroutine_spawn(function() mtev.sleep(0) mtev.notify("k", 1, nil, "three", nil) end)
    local results = { n = 0 }
    local function keep(...) results = { n = select("#", ...), ... } end
    keep(mtev.waitfor("k", 5))
    assert.are.equal(5, results.n)
    assert.are.equal("k", results[1])
    assert.are.equal(1, results[2])
    assert.are.equal("three", results[4])
  end)

  it("run the waiter before notify returns", function()
    local trace = {}
    mtev.coroutine_spawn(function()
      mtev.waitfor("now")
      trace[#trace + 1] = "waiter"
    end)
    mtev.notify("now")
    trace[#trace + 1] = "notifier"
    assert.are.same({ "waiter", "notifier" }, trace)
  end)

  it("queue messages sent before the wait, in order", function()
    for i = 1, 4 do mtev.notify("queued", i) end
    for i = 1, 4 do
      local key, value = mtev.waitfor("queued", 0)
      assert.are.equal("queued", key)
      assert.are.equal(i, value)
    end
    assert.is_nil((mtev.waitfor("queued", 0)))
  end)

  it("queue messages sent while the last one is still being read", function()
    mtev.notify("mixed", 1)
    mtev.notify("mixed", 2)
    mtev.waitfor("mixed")
    mtev.notify("mixed", 3)
    assert.are.equal(2, (select(2, mtev.waitfor("mixed"))))
    assert.are.equal(3, (select(2, mtev.waitfor("mixed"))))
    assert.is_nil((mtev.waitfor("mixed", 0)))
  end)

  it("pass values by reference", function()
    local value = {}
    mtev.notify("reference", value)
    assert.are.equal(value, (select(2, mtev.waitfor("reference"))))
  end)

  it("compare keys as text", function()
    mtev.notify(42, "number")
    local key, value = mtev.waitfor("42", 0)
    assert.are.equal("42", key)
    assert.are.equal("number", value)
    mtev.notify("43", "text")
    assert.are.equal("text", (select(2, mtev.waitfor(43, 0))))
  end)

  it("return nothing at all when the time is up", function()
    assert.are.equal(0, select("#", mtev.waitfor("never", 0.01)))
    assert.are.equal(0, select("#", mtev.waitfor("never", 0)))
    assert.are.equal(0, select("#", mtev.waitfor("never", -1)))
  end)

  it("leave no trace of a wait that timed out: the next message is queued", function()
    mtev.waitfor("late", 0.001)
    mtev.notify("late", "message")
    assert.are.equal("message", (select(2, mtev.waitfor("late", 0))))
  end)

  it("refuse a second waiter on the same key", function()
    mtev.coroutine_spawn(function() mtev.waitfor("single", 5) end)
    assert.has_error(function() mtev.waitfor("single", 1) end, "waitfor cannot be called concurrently")
    mtev.notify("single")
  end)

  it("need a key, unless notify gets no argument at all", function()
    assert.are.equal(0, select("#", mtev.notify()))
    assert.has_error(function() mtev.notify(nil) end)
    assert.has_error(function() mtev.notify({}, 1) end)
    assert.has_error(function() mtev.waitfor() end)
    assert.has_error(function() mtev.waitfor("x", "long") end)
  end)

  it("take keys with any byte in them", function()
    local key = "\0\255 \0"
    mtev.notify(key, "\0")
    local got, value = mtev.waitfor(key, 0)
    assert.are.equal(key, got)
    assert.are.equal("\0", value)
  end)

  it("chain through thousands of waiters, each before its notify returns", function()
    local n, returned = 20000, 0
    for i = 1, n do
      mtev.coroutine_spawn(function()
        mtev.waitfor("chain" .. i)
        mtev.notify("chain" .. (i + 1))
        returned = returned + 1
      end)
    end
    mtev.coroutine_spawn(function() mtev.waitfor("chain" .. (n + 1)) end)
    mtev.notify("chain1")
    assert.are.equal(n, returned)
  end)
end)

describe("a suspension", function()
  it("passes through pcall and xpcall", function()
    local ok, slept = pcall(mtev.sleep, 0.001)
    assert.is_true(ok)
    assert.is_truthy(slept.usec)
    local fine, message = xpcall(function()
      mtev.sleep(0)
      error("after the sleep", 0)
    end, function(e) return "handled " .. e end)
    assert.is_false(fine)
    assert.are.equal("handled after the sleep", message)
  end)

  it("inside a coroutine of the user's own suspends the whole", function()
    local inner = coroutine.create(function(a)
      mtev.sleep(0.001)
      local b = coroutine.yield(a + 1)
      local _, c = mtev.waitfor("inner", 5)
      return a + b + c
    end)
    mtev.coroutine_spawn(function()
      mtev.sleep(0.005)
      mtev.notify("inner", 100)
    end)
    assert.are.same({ true, 2 }, { coroutine.resume(inner, 1) })
    assert.are.same({ true, 111 }, { coroutine.resume(inner, 10) })
    assert.are.equal("dead", coroutine.status(inner))
  end)

  it("works inside iterators made with coroutine.wrap", function()
    local function produce()
      for i = 1, 3 do
        mtev.sleep(0)
        coroutine.yield(i)
      end
    end
    local sum = 0
    for i in coroutine.wrap(produce) do sum = sum + i end
    assert.are.equal(6, sum)
  end)

  it("makes the inner coroutine look as busy as it is", function()
    local inner = coroutine.create(function() mtev.waitfor("busy", 5) return "end" end)
    local result
    mtev.coroutine_spawn(function() result = { coroutine.resume(inner) } end)
    assert.are.equal("normal", coroutine.status(inner))
    assert.are.same({ false, "cannot resume normal coroutine" }, { coroutine.resume(inner) })
    mtev.notify("busy")
    assert.are.same({ true, "end" }, result)
  end)

  it("across a C call raises, and leaves nothing behind", function()
    local ok, message = pcall(table.sort, { 3, 2, 1 }, function(a, b)
      mtev.waitfor("in sort", 5)
      return a < b
    end)
    assert.is_false(ok)
    assert.is_truthy(message:find("C-call boundary", 1, true))
    mtev.notify("in sort", "kept")
    assert.are.equal("kept", (select(2, mtev.waitfor("in sort", 0))))
  end)
end)

describe("coroutines of the user's own", function()
  it("keep the results and errors of plain Lua", function()
    assert.are.equal(1, select("#", coroutine.resume(coroutine.create(function() end))))
    assert.are.equal(4, select("#", coroutine.resume(coroutine.create(function() return 1, nil, nil end))))
    local ok, message = coroutine.resume(coroutine.create(function() error({ code = 7 }) end))
    assert.is_false(ok)
    assert.are.equal(7, message.code)
    local wrapped = coroutine.wrap(function() error("bare", 0) end)
    local fine, text = pcall(wrapped)
    assert.is_false(fine)
    assert.is_truthy(text:find("bare", 1, true))
    assert.are.equal("cannot resume dead coroutine", (select(2, pcall(wrapped))):match("cannot resume dead coroutine"))
  end)

  it("nested without end give an error, not a crash", function()
    local function descend() return assert(coroutine.resume(coroutine.create(descend))) end
    local ok, message = pcall(descend)
    assert.is_false(ok)
    assert.is_truthy(tostring(message):find("stack overflow", 1, true))
  end)

  it("nested without end through a function of C's, whose frames are large, give an error too", function()
    local deepest = 0
    local function nest(level)
      deepest = level
      local co = coroutine.create(function() ("x"):gsub("x", function() nest(level + 1) end) end)
      local ok, why = coroutine.resume(co)
      if not ok then error(why, 0) end
    end
    local ok, message = pcall(nest, 1)
    assert.is_false(ok)
    assert.is_truthy(tostring(message):find("stack overflow", 1, true))
    assert.is_true(deepest > 3000)
  end)
end)

describe("mtev.cancel_coro", function()
  it("takes the address of a coroutine, too", function()
    local co, went_on = nil, false
    mtev.coroutine_spawn(function()
      co = coroutine.running()
      mtev.sleep(0)
      went_on = true
    end)
    mtev.cancel_coro(tostring(co):match("0x%x+"))
    mtev.sleep(0)
    mtev.sleep(0)
    assert.is_false(went_on)
  end)

  it("forgets a coroutine that sleeps", function()
    local woke, co = false, nil
    mtev.coroutine_spawn(function()
      co = coroutine.running()
      mtev.sleep(0.005)
      woke = true
    end)
    mtev.cancel_coro(co)
    mtev.sleep(0.02)
    assert.is_false(woke)
  end)

  it("releases the key a coroutine waits for", function()
    local co
    mtev.coroutine_spawn(function()
      co = coroutine.running()
      mtev.waitfor("abandoned", 60)
    end)
    mtev.cancel_coro(co)
    mtev.notify("abandoned", "next")
    assert.are.equal("next", (select(2, mtev.waitfor("abandoned", 0))))
  end)

  it("stops a coroutine that is ready but has not run", function()
    local ran, co = false, nil
    mtev.coroutine_spawn(function()
      co = coroutine.running()
      mtev.sleep(0)
      ran = true
    end)
    mtev.cancel_coro(co)
    mtev.sleep(0) mtev.sleep(0)
    assert.is_false(ran)
  end)

  it("of the running coroutine lets it run to its next suspension", function()
    local trace = {}
    mtev.coroutine_spawn(function()
      mtev.cancel_coro(coroutine.running())
      trace[#trace + 1] = "still here"
      mtev.sleep(0)
      trace[#trace + 1] = "gone too far"
    end)
    mtev.sleep(0.005)
    assert.are.same({ "still here" }, trace)
  end)

  it("is harmless for one that ended, and raises for anything else", function()
    local co
    mtev.coroutine_spawn(function() co = coroutine.running() end)
    mtev.cancel_coro(co)
    assert.has_error(function() mtev.cancel_coro("co") end)
    assert.has_no.errors(function() mtev.cancel_coro("0x1234") end)
    assert.has_error(function() mtev.cancel_coro() end)
  end)
end)

describe("a suspension below a C function", function()
  local function in_gsub(f) return string.gsub("a", ".", function() f() end) end
  local function in_sort(f) return table.sort({ 2, 1 }, function() f() end) end
  local function in_require(f)
    package.preload["spec.suspends"] = function() f() end
    package.loaded["spec.suspends"] = nil
    return require("spec.suspends")
  end
  local function in_load(f) return assert(load(function() f() end)) end
  local below = { gsub = in_gsub, sort = in_sort, require = in_require, load = in_load }
  local waits = {
    sleep = function() mtev.sleep(0.001) end,
    ["sleep of 0"] = function() mtev.sleep(0) end,
    ["waitfor with a limit"] = function() mtev.waitfor("spec.nobody", 0.001) end,
    ["waitfor without"] = function() mtev.waitfor("spec.nobody") end,
    ["a name server"] = function() mtev.dns("127.0.0.1"):lookup("example.com") end,
  }
  local inside = {
    ["the coroutine itself"] = function(f) f() end,
    ["a coroutine of wrap"] = function(f) coroutine.wrap(f)() end,
    ["one of resume"] = function(f)
      local ok, message = coroutine.resume(coroutine.create(f))
      if not ok then error(message, 0) end
    end,
    ["one inside another"] = function(f) coroutine.wrap(function() coroutine.wrap(f)() end)() end,
  }

  for c_name, c_function in pairs(below) do
    for wait_name, wait in pairs(waits) do
      for inside_name, enter in pairs(inside) do
        it("is an error and leaves nothing behind: " .. c_name .. ", " .. wait_name .. ", " .. inside_name, function()
          local ok, message = pcall(c_function, function() enter(wait) end)
          assert.is_false(ok)
          assert.is_truthy(tostring(message):find("across a C-call boundary", 1, true), message)
          local slept = mtev.sleep(0.002)
          assert.is_true(slept:seconds() >= 0.0019)
          mtev.notify("spec.nobody", "kept")
          assert.are.equal("kept", (select(2, mtev.waitfor("spec.nobody", 5))))
        end)
      end
    end
  end

  it("is not needed to spawn, to notify or to pass values to the outer coroutine", function()
    local trace = {}
    mtev.coroutine_spawn(function()
      local _, told = mtev.waitfor("spec.inner", 5)
      trace[#trace + 1] = told
    end)
    string.gsub("a", ".", function()
      local generate = coroutine.wrap(function()
        mtev.coroutine_spawn(function() mtev.sleep(0) trace[#trace + 1] = "spawned" mtev.notify("spec.over") end)
        mtev.notify("spec.inner", "notified")
        coroutine.yield("own")
      end)
      local own = generate()
      trace[#trace + 1] = own
    end)
    mtev.waitfor("spec.over", 5)
    assert.are.same({ "notified", "own", "spawned" }, trace)
  end)

  it("goes on as ever in a coroutine that was made there and is resumed outside", function()
    local made
    string.gsub("a", ".", function() made = coroutine.wrap(function() mtev.sleep(0) return "slept" end) end)
    assert.are.equal("slept", made())
  end)
end)

describe("a coroutine that waited", function()
  it("leaves the place to the next waiter, whatever it waits for afterwards", function()
    local got = {}
    mtev.coroutine_spawn(function()
      mtev.waitfor("spec.place", 5)
      mtev.notify("spec.first")
      mtev.sleep(0.001)
      got[#got + 1] = "first slept"
      mtev.notify("spec.slept")
    end)
    mtev.coroutine_spawn(function()
      mtev.waitfor("spec.first", 5)
      local _, told = mtev.waitfor("spec.place", 5)
      got[#got + 1] = told
      mtev.notify("spec.second")
    end)
    mtev.notify("spec.place", "for the first")
    mtev.waitfor("spec.slept", 5)
    mtev.notify("spec.place", "for the second")
    mtev.waitfor("spec.second", 5)
    assert.are.same({ "first slept", "for the second" }, got)
  end)
end)
