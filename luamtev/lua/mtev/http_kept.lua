-- Connections of HTTP clients that are kept for further requests: what an mtev.HttpPool holds.
--
-- Connections to one place, by one configuration of TLS and through one proxy, have one key.  One that is kept belongs to
-- no coroutine; whoever takes it owns it.  A coroutine closes what was kept too long, for as long as anything is.
--
-- A pool is a table: idle, seconds; most, how many are kept; each, how many there may be with one key; entries, those that
-- are kept, the oldest first; used, by key, how many are in use; waiting, by key, who waits for a place, in order; and what
-- is counted.

local home = ...

local kernel, eventer = home.kernel, home.need("mtev/eventer")
local monotonic = kernel.monotonic
local type, setmetatable, unpack, insert, remove = type, setmetatable, unpack, table.insert, table.remove

local M = {}

local holders = setmetatable({}, { __mode = "k" }) -- task -> { pool, key } of the place that it has

-- Closes the connection at a place among those that are kept.
function M.close_at(pool, at) remove(pool.entries, at).client:close() end

local function sweep(pool)
  while pool.entries[1] do
    local rest = pool.entries[1].since + pool.idle - monotonic()
    if rest > 0 then kernel.sleep(rest) else M.close_at(pool, 1) end
  end
  pool.is_swept = false
end

-- A place for a connection with *key*, within *timeout* seconds; false when the time is up.
function M.enter(pool, key, timeout)
  local used, task = pool.used[key] or 0, kernel.current()
  if used < pool.each then
    pool.used[key], holders[task] = used + 1, { pool, key }
    return true
  end
  local queue = pool.waiting[key] or {}
  pool.waiting[key] = queue
  local ticket = kernel.ticket()
  insert(queue, { ticket, task })
  return kernel.await(ticket, timeout) == true
end

-- Gives the place up that *task* has: to who waits longest.
local function leave(pool, key, task)
  holders[task] = nil
  local queue = pool.waiting[key]
  while queue and queue[1] do
    local ticket, other = unpack(remove(queue, 1))
    if kernel.is_waiting(ticket) then
      holders[other] = { pool, key }
      return kernel.deliver(ticket, true)
    end
  end
  pool.waiting[key] = nil
  local used = pool.used[key] - 1
  pool.used[key] = used > 0 and used or nil
end

function M.leave(pool, key) return leave(pool, key, kernel.current()) end

kernel.on_leaving(function(task)
  local place = holders[task]
  if place then leave(place[1], place[2], task) end -- it was cancelled in the middle of a request
end)

-- A peer has nothing to say before it is asked: what comes is its farewell, or cannot be trusted.
local function is_alive(client)
  local data, why = eventer.read_once(client.e, 1)
  return data == nil and type(why) == "number"
end

-- A client that is connected, if one was kept with *key*; the latest, which has the best chances.
function M.take(pool, key)
  local entries = pool.entries
  for at = #entries, 1, -1 do
    local entry = entries[at]
    if entry.key == key then
      remove(entries, at)
      local client = entry.client
      if monotonic() - entry.since < pool.idle and is_alive(client) then
        client.e = client.e:own()
        pool.reused = pool.reused + 1
        return client
      end
      client:close()
    end
  end
  pool.made = pool.made + 1
end

-- One with *key* was found dead when it was used: those that were kept as long are no better.
function M.retry(pool, key)
  pool.retried = pool.retried + 1
  for at = #pool.entries, 1, -1 do
    if pool.entries[at].key == key then M.close_at(pool, at) end
  end
end

-- Keeps a client whose response was read to its end.
function M.put(pool, key, client)
  if not client.e then return end
  if pool.most < 1 or pool.idle <= 0 or client.reader:rest() ~= "" then return client:close() end
  eventer.disown(client.e)
  insert(pool.entries, { key = key, client = client, since = monotonic() })
  while #pool.entries > pool.most do M.close_at(pool, 1) end
  if not pool.is_swept then
    pool.is_swept = true
    kernel.spawn(sweep, pool)
  end
end

return M
