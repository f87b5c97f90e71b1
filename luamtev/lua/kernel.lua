-- The kernel owns this state's coroutines ("tasks"): who runs, who waits, and for what.
--
-- Everything that suspends is built on one primitive, park: the running task is entered in a registry
-- (`hold[key] = task`), optionally given a deadline, and yields.  Whoever has news takes it out of the registry and
-- resumes it with values; a deadline that passes resumes it with none.  There is no other way to wait.
--
--   ready queue   tasks to be resumed at the next turn, in order (sleep(0), expired deadlines, ready descriptors)
--   deadlines     kernel/deadlines.lua: what happens to a task at a certain time
--   mailboxes     kernel/mailboxes.lua: waitfor's registry, and what was sent before anyone waited
--   tickets       registry of work under way outside Lua; whoever does that work calls wake(ticket, ...)
--
-- The event loop calls pump(); it runs turns for one slice of time and returns when it wants to be called again.
-- The kernel never blocks and knows nothing of descriptors: the reactor joins in through kernel.poll.
--
-- A task is a table of four fields and no more (LuaJIT sizes it for four): co, the coroutine; pos, its place in the
-- deadline heap, or minus the time it was spawned at; hold and key, the registry entry it waits in or false.

local border, settings, load_library = ...

local create, raw_resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local raw_status, isyieldable = coroutine.status, coroutine.isyieldable
local select, type, tostring, error, unpack = select, type, tostring, error, unpack
local pcall, tonumber, setmetatable, traceback = pcall, tonumber, setmetatable, debug.traceback
local huge = math.huge

-- A look at the clock costs 30 ns, a turn of sleep(0) some 400: so a sixteenth of the looks is 0.5 % of the turns.  A resume takes
-- 80 bytes of the C stack, one through string.gsub 8.4 KB: that 4,000 times is 34 MB of the 64 that a loop's thread has.
local SLICE = 0.001 -- seconds of turns before the event loop gets a look at everything else
local GLANCE = 16 -- tasks, at most, between two looks at the clock inside a turn
local BREATHS = 32 -- calls of breathe between two looks at the clock
local SWITCH_DEPTH = 100 -- resumes on the C stack before notify and spawn take turns instead of nesting
local STACK_DEPTH = 4000 -- resumes on the C stack before user code gets an error instead of a crash

local PARK = setmetatable({}, { __tostring = function() return "park" end }) -- what a parked coroutine yields
local FREE = setmetatable({}, { __tostring = function() return "free" end }) -- what a leader yields that is done

local kernel = { PARK = PARK }
local deadlines = load_library("kernel/deadlines")
local timing = load_library("kernel/timing", border, settings, deadlines)
local monotonic, arm, disarm, earliest = timing.monotonic, deadlines.enter, deadlines.leave, deadlines.earliest
kernel.monotonic, kernel.ages, kernel.place = monotonic, timing.ages, timing.place
local collector = load_library("kernel/collector", kernel, settings)
local count_visit, is_collection_due = collector.visit, collector.is_due

local current = nil -- the running task
local depth = 0 -- nested resumes
local confined = false -- inside a user's coroutine that runs below a C function: what suspends there would not get out
local tasks = {} -- coroutine -> task, all that started and have not ended
local tickets = {}
local late = setmetatable({}, { __mode = "k" }) -- task -> the last ticket of those whose time was up
local last_ticket = 0
local ready_task, ready_value, ready_count = {}, {}, 0 -- the next turn
local turn_task, turn_value, turn_at, turn_count = {}, {}, 0, 0 -- the turn under way
local gave_way, gave_way_count = {}, 0 -- continuations of tasks that nest too deep, innermost first
local resumable, resumable_count = {}, 0 -- the same while they are being resumed, last first
local slice_end, breaths = 0, 0 -- the end is false where nobody has looked at the clock yet
local answering = false -- the coroutine of a function for whose result somebody outside waits
local leader, spare = false, false -- the task of kernel.lead's work; the same while there is no such work
local shown = false -- somebody may have got hold of the leader or its coroutine
local looked_at = 0 -- what the clock said when the event loop, or somebody else, came in last
local measuring = false -- whether each run is timed
local spans = false -- the number of what is traced, by coroutine; false while nothing ever was

-- The event loop, or somebody else, comes in.
local function look(now)
  looked_at = now
  measuring = timing.is_wanted(now)
end

-- Running -----------------------------------------------------------------------------------------------------------

local function set_ready(task, value)
  local n = ready_count + 1
  ready_task[n], ready_value[n], ready_count = task, value, n
end

-- Takes a waiting task out of all it is entered in.
local function release(task)
  local hold = task.hold
  if hold then
    hold[task.key] = nil
    task.hold, task.key = false, false
  end
  if task.pos > 0 then disarm(task) end
end

-- The same for a task that will not be resumed: work under way for it is called off.
local function abandon(task)
  if task.hold == tickets then border.ticket_cancel(task.key) end
  if late[task] then border.ticket_cancel(late[task]) end
  release(task)
end

local function describe(err)
  local ok, text = pcall(tostring, err) -- a __tostring of the user's may fail
  return ok and text or "error object is a " .. type(err) .. " value"
end

local function nobody() end
local leaving = nobody -- told of tasks that end

-- Has f(task) called, which must not raise, whenever a task ends: returns, fails, or is cancelled.
function kernel.on_leaving(f)
  local before = leaving
  leaving = before == nobody and f or function(task)
    before(task)
    f(task)
  end
end

local note_adrift -- kernel/adrift.lua's

local function ended(task, previous, outside, ok, what)
  current, depth, confined = previous, depth - 1, outside
  if what == PARK and ok then
    if not tasks[task.co] then -- cancelled while it ran
      abandon(task)
      leaving(task)
    end
    return ok
  end
  tasks[task.co] = nil
  if what == FREE then
    spare = task
    return ok
  end
  if not ok or raw_status(task.co) == "dead" then leaving(task) else note_adrift(task.co) end
  if not ok then border.task_failed(traceback(task.co, describe(what))) end
  return ok
end

local begin_visit -- set where Lua can be interrupted

-- Has *f* called whenever the event loop, or somebody else, has Lua run.
function kernel.on_visit(f) begin_visit = f end

-- Whether somebody runs who can be interrupted.
function kernel.is_running() return current or answering end

local function timed(task, previous, outside, around, began, clocked, ...)
  timing.note(task.co, around, began, clocked)
  return ended(task, previous, outside, ...)
end

local function run(task, ...)
  if depth == 0 and begin_visit then begin_visit() end
  if depth >= STACK_DEPTH then error("C stack overflow", 0) end
  local previous, outside = current, confined
  current, depth, confined = task, depth + 1, false
  if measuring then
    local around, began, clocked = timing.begin()
    return timed(task, previous, outside, around, began, clocked, raw_resume(task.co, ...))
  end
  return ended(task, previous, outside, raw_resume(task.co, ...))
end

-- Whether a suspension here would get through to the kernel.
local function yieldable() return current and not confined and isyieldable() end

kernel.can_suspend = yieldable

local function parkable()
  if not current then error("this call suspends and needs a coroutine", 3) end
  if confined or not isyieldable() then error("attempt to suspend across a C-call boundary", 3) end
end

kernel.parkable = parkable -- raises unless the caller may suspend

-- Suspends the running task until release, or for *timeout* seconds (nil: for good).
-- Returns what it is resumed with: values, or nothing when the time is up.
local function park(hold, key, timeout)
  parkable()
  local task = current
  hold[key] = task
  task.hold, task.key = hold, key
  if timeout then arm(task, monotonic() + timeout) end
  return yield(PARK)
end
kernel.park = park

-- Resumes the tasks that gave way, innermost first, until none is left of those that did so since the call.
local function catch_up()
  local base = resumable_count
  repeat
    for i = gave_way_count, 1, -1 do
      resumable_count = resumable_count + 1
      resumable[resumable_count], gave_way[i] = gave_way[i], nil
    end
    gave_way_count = 0
    local continue = resumable[resumable_count]
    resumable[resumable_count] = nil
    resumable_count = resumable_count - 1
    continue()
  until resumable_count == base and gave_way_count == 0
end

local function give_way(continue)
  gave_way_count = gave_way_count + 1
  gave_way[gave_way_count] = continue
end

-- Resumes *task* with values, to its next suspension, before it returns.  Where resumes nest too deep the running task
-- and all those around it give way: they yield, and go on in the same order from a fresh stack.
local function switch(task, ...)
  if depth < SWITCH_DEPTH or not yieldable() then
    run(task, ...)
    if gave_way_count == 0 then return end
    if not yieldable() then return catch_up() end
  else
    local n, values = select("#", ...), { ... }
    give_way(function() if tasks[task.co] == task then return run(task, unpack(values, 1, n)) end end)
  end
  local self = current
  give_way(function() if tasks[self.co] == self then return run(self) end end)
  yield(PARK)
end

local function expire(now)
  while earliest() <= now do
    local task = deadlines.first()
    if task.hold == tickets then late[task] = task.key end
    release(task)
    set_ready(task)
  end
end

local function run_turn(stop)
  local step, glance = 1, turn_at + 1 -- the first may be as long as any; the more were short, the seldomer we look
  while turn_at < turn_count do
    local i = turn_at + 1
    local task, value = turn_task[i], turn_value[i]
    turn_task[i], turn_value[i], turn_at = false, nil, i
    if tasks[task.co] == task then -- else it was cancelled while it was ready
      if value == nil then run(task) else run(task, value) end -- a wait whose time is up returns nothing at all
      if gave_way_count > 0 then catch_up() end
    end
    if i >= glance then
      if monotonic() >= stop then return end
      if step < GLANCE then step = step * 2 end
      glance = i + step
    end
  end
end

local function next_turn()
  turn_task, ready_task = ready_task, turn_task
  turn_value, ready_value = ready_value, turn_value
  turn_at, turn_count, ready_count = 0, ready_count, 0
end

-- Seconds until pump has something to do: 0 at once, -1 not before somebody wakes a task.
local function delay()
  if is_collection_due() or ready_count > 0 or turn_at < turn_count or kernel.is_serving() then return 0 end
  local first = earliest()
  if first == huge then return -1 end
  local rest = first - monotonic()
  return rest > 0 and rest or 0
end

-- Replaced by the reactor: moves tasks whose descriptors are ready into the ready queue.
function kernel.poll() end

-- Replaced by whoever serves connections without a task for each (http1): visits those that have news, until *stop*, and
-- returns whether the reactor had no more news at the end; whether some have; and what is to be done at the end of
-- every visit of the event loop.
function kernel.serve(_now, _stop) end
function kernel.is_serving() return false end
function kernel.end_visit() end

kernel.delay = delay

-- Whether tasks can be resumed, *now* by the clock.
function kernel.has_ready(now) return ready_count > 0 or turn_at < turn_count or earliest() <= now end

-- Runs what is due for one slice of time; returns delay().
function kernel.pump()
  local now = monotonic()
  local stop = now + SLICE
  slice_end = stop
  look(now)
  repeat
    kernel.poll() -- before deadlines: what came while the process stood still came in time
    expire(now)
    local is_quiet = not kernel.is_serving() or kernel.serve(now, stop)
    if is_quiet and ready_count == 0 and turn_at >= turn_count then break end
    if turn_at >= turn_count then next_turn() end
    run_turn(stop)
    now = monotonic()
  until now >= stop
  kernel.end_visit()
  count_visit()
  if is_collection_due() then collector.collect() end
  return delay()
end

-- Entry for the rest of the process: the work behind *ticket* is done.  Returns delay(), and false where nobody waits any
-- more, or somebody whose time is up, which he has yet to hear.
function kernel.wake(ticket, ...)
  local task = tickets[ticket]
  if not task then return delay(), false end
  release(task)
  slice_end = false
  look(monotonic())
  run(task, ...)
  if gave_way_count > 0 then catch_up() end
  kernel.end_visit()
  count_visit()
  return delay()
end

-- Entry for the rest of the process: runs f(...) as a task of its own.  Returns delay().
function kernel.start(f, ...)
  slice_end = false
  look(monotonic())
  kernel.spawn(f, ...)
  kernel.end_visit()
  count_visit()
  return delay()
end

-- Entry for the rest of the process: calls f(...), outside every task.  Returns delay() and the first f returns.
-- f has a coroutine of its own, in which nothing can suspend, so that others can see its stack.
function kernel.answer(f, ...)
  if begin_visit then begin_visit() end
  local co = create(f)
  slice_end, answering, confined = false, co, true
  local ok, result = raw_resume(co, ...)
  answering, confined = false, false
  if not ok then error(traceback(co, describe(result)), 0) end
  if raw_status(co) ~= "dead" then error("attempt to yield outside a coroutine of one's own", 0) end
  if gave_way_count > 0 then catch_up() end
  kernel.end_visit()
  count_visit()
  return delay(), result
end

-- Entry for the rest of the process when an entry failed: whatever ran is not running any more.  Returns delay().
function kernel.recover()
  current, depth, confined, answering = nil, 0, false, false
  for i = resumable_count, 1, -1 do give_way(resumable[i]) end
  resumable_count = 0
  if gave_way_count > 0 then catch_up() end
  return delay()
end

-- Coroutines, time, notification ------------------------------------------------------------------------------------

function kernel.spawn(f, ...)
  if type(f) ~= "function" then
    error("mtev.coroutine_spawn(func, ...): bad arguments", 2)
  end
  local co = create(f)
  local task = { co = co, pos = -looked_at, hold = false, key = false }
  tasks[co] = task
  if spans and current then spans[co] = spans[current.co] end
  switch(task, ...)
end

-- Work that calls many functions of the user's one after the other, each of which is to find itself in a task of its own.
-- As long as none of them suspends or gets hold of its task, one serves for all; the work goes on in compiled code.
-- Before each such function the work calls kernel.lend, after it kernel.is_leader; when that says no, the work is another
-- task's now, and returns at once.

local function lead(work)
  while work() do work = yield(FREE) end
end

-- Calls *work*, outside every task.  Returns false when it failed, and true when it is done or a function has suspended:
-- who calls finds out which.
function kernel.lead(work)
  local task = spare
  spare = false
  if not task then
    local co = create(lead)
    task = { co = co, pos = -looked_at, hold = false, key = false }
  end
  task.pos, tasks[task.co], leader = -looked_at, task, task
  if measuring or begin_visit then
    local ok = run(task, work)
    leader = false
    if gave_way_count > 0 then catch_up() end
    return ok
  end
  local outside = confined
  current, depth, confined = task, depth + 1, false
  local ok, what = raw_resume(task.co, work)
  leader = false
  if what == FREE and tasks[task.co] then
    current, depth, confined = nil, depth - 1, outside
    tasks[task.co] = nil
    spare = task
    return true
  end
  ended(task, nil, outside, ok, what)
  if gave_way_count > 0 then catch_up() end
  return ok
end

-- Entry for the rest of the process: leads *work* as often as it takes, until *is_done* says so.  Returns delay().
function kernel.start_leading(work, is_done)
  slice_end = false
  look(monotonic())
  repeat kernel.lead(work) until is_done()
  kernel.end_visit()
  count_visit()
  return delay()
end

-- One function of the user's is called next.  What is timed, or may be interrupted, has a task to itself.
function kernel.lend() shown = measuring or begin_visit ~= nil end

-- Whether the running task may go on with its work.
function kernel.is_leader() return leader == current and not shown end

-- Somebody keeps the running task: it serves nobody else.
function kernel.keep() shown = true end

-- The running task, for those who do not keep it for longer than what it is about.
function kernel.running() return current end

-- The running task.
function kernel.current()
  shown = true
  return current
end

local raw_setfenv = setfenv

function setfenv(of, environment)
  if of == 0 then shown = true end -- it is the coroutine's from now on
  return raw_setfenv(of, environment)
end

-- Has the running task, and those it spawns from now on, work for the span *number*.
function kernel.carry(number)
  shown = true
  spans = spans or setmetatable({}, { __mode = "k" })
  spans[current.co] = number
end

-- That number; nil when there is none.
function kernel.carried() return spans and current and spans[current.co] or nil end

-- All coroutines that were spawned and have not ended, as keys; and how often the event loop has called.
function kernel.tasks() return tasks end
kernel.visits = collector.visits

-- The coroutine that runs outside all tasks, or false.
function kernel.answering() return answering end

local registry_names = {} -- registry -> what a task in it waits for

-- For those whose registries tasks are parked in: has *registry* called *name*.
function kernel.name_registry(registry, name) registry_names[registry] = name end
registry_names[tickets] = "ticket"

-- What *task* waits for: a word (of its registry, or running, sleep, turn), the key there, and seconds until a deadline.
function kernel.awaits(task)
  local at = deadlines.of(task)
  local left = at and at - monotonic() or nil
  if task == current then return "running", nil, left end
  if task.hold then return registry_names[task.hold] or "event", task.key, left end
  return left and "sleep" or "turn", nil, left
end

-- What the clock said when somebody outside came in last.
function kernel.looked_at() return looked_at end

-- The task of a coroutine that was spawned and has not ended, or nil.
function kernel.task_of(co) return tasks[co] end

-- Forgets a coroutine: it is never resumed, and leaves every registry it waits in.
function kernel.cancel(co)
  if type(co) ~= "thread" then
    error("bad argument #1 to 'cancel_coro' (coroutine expected, got " .. type(co) .. ")", 2)
  end
  local task = tasks[co]
  if not task then return end
  tasks[co] = nil
  if raw_status(co) == "suspended" then -- else when it gets there
    abandon(task)
    leaving(task)
  end
end

local function seconds(value, name, level)
  local number = tonumber(value)
  if not number or number ~= number then
    error("bad argument to '" .. name .. "' (number of seconds expected, got " .. tostring(value) .. ")", level + 1)
  end
  return number
end
kernel.seconds = seconds

-- Suspends for *duration* seconds; 0 or less: until every task that is ready now had its turn.
function kernel.sleep(duration)
  parkable()
  if duration <= 0 then set_ready(current) elseif duration < huge then arm(current, monotonic() + duration) end
  yield(PARK)
end

-- For calls that could have suspended and did not: when the slice is over the running task takes its turn after all others,
-- so that a descriptor which is always ready starves nobody.
function kernel.breathe()
  breaths = breaths + 1
  if breaths < BREATHS then return end
  breaths = 0
  local now = monotonic()
  slice_end = slice_end or now + SLICE
  if now < slice_end or not yieldable() then return end
  set_ready(current)
  yield(PARK)
end

-- Makes *task* ready with a value, from inside the kernel's own registries (the reactor).
function kernel.make_ready(task, value)
  release(task)
  set_ready(task, value)
end

-- A number for work that goes on outside Lua; kernel.await parks until wake is called with it.
function kernel.ticket()
  last_ticket = last_ticket + 1
  return last_ticket
end

-- Whether a coroutine waits on *ticket*; one that was cancelled does not.
function kernel.is_waiting(ticket) return ticket ~= nil and tickets[ticket] ~= nil end

-- Has the waiter of *ticket* resumed with *value* at the next turn.
function kernel.deliver(ticket, value)
  local task = tickets[ticket]
  if task then kernel.make_ready(task, value) end
end

function kernel.await(ticket, timeout) return park(tickets, ticket, timeout) end

-- For coroutines of the user's own -----------------------------------------------------------------------------------------

-- One resume deeper.
function kernel.deepen() depth = depth + 1 end

-- The same, into a coroutine that cannot suspend if *held*.  Returns whether the caller could not; nil when it is too deep.
function kernel.confine(held)
  if depth >= STACK_DEPTH then return nil end
  local outside = confined
  depth, confined = depth + 1, outside or held
  return outside
end

-- Back again, to where the caller could not suspend if *outside*.
function kernel.surface(outside) depth, confined = depth - 1, outside end

kernel.is_resumer = load_library("kernel/relay", kernel).is_resumer

local adrift = load_library("kernel/adrift", kernel, border)
note_adrift, kernel.on_adrift = adrift.note, adrift.on_adrift

local mailboxes = load_library("kernel/mailboxes", kernel, release, switch)
kernel.waitfor, kernel.notify = mailboxes.waitfor, mailboxes.notify

if settings.interrupt_time then load_library("kernel/interrupt", kernel, settings) end

return kernel
