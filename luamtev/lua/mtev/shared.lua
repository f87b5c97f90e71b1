-- What the Lua states of the process share: shared_* and semaphores.  Only copies travel, as bytes made here.

local home = ...

local class = home.need("mtev/object")
local border, kernel, checked = home.border, home.kernel, home.checked
local refuse, numeral = home.need("arguments").refuse, home.need("arguments").numeral
local encode, decode = require("string.buffer").encode, require("string.buffer").decode
local type, pairs, tostring, getmetatable = type, pairs, tostring, getmetatable
local huge = math.huge

local function shared_key(key, name)
  local kind = type(key)
  if kind == "string" then return key end
  if kind == "number" then return tostring(key) end
  refuse(1, name, "string key", kind, 3)
end

local function leave_out(what) mtev.log("debug/lua", "shared value: %s is stored as nil\n", what) end

local plain_types = { ["nil"] = true, boolean = true, number = true, string = true }

-- A copy of *value* made of what can be shared; *around* holds the tables it is inside of.
local function plain(value, around)
  local kind = type(value)
  if plain_types[kind] then return value end
  if kind ~= "table" then return leave_out("a " .. kind) end
  local meta = getmetatable(value)
  if type(meta) == "table" and meta.is_opaque then return leave_out(tostring(value)) end
  if around[value] then return leave_out("a table inside itself") end
  around[value] = true
  local copy
  if type(value.serialize) == "function" then
    copy = plain(value:serialize(), around)
  else
    copy = {}
    for k, v in pairs(value) do
      if type(k) == "string" or type(k) == "number" then
        copy[k] = plain(v, around)
      else
        leave_out("an entry with a " .. type(k) .. " key")
      end
    end
  end
  around[value] = nil
  return copy
end

local function wait_limit(timeout, name)
  if timeout == nil then return nil end
  timeout = kernel.seconds(timeout, name, 3)
  if timeout == huge then return nil end
  return timeout > 0 and timeout or 0
end

local set, get, seq = checked(border.shared_set), checked(border.shared_get), checked(border.shared_seq)

function mtev.shared_set(key, value)
  key = shared_key(key, "shared_set")
  value = plain(value, {})
  set(key, value ~= nil and encode(value) or nil)
end

function mtev.shared_get(key)
  local bytes = get(shared_key(key, "shared_get"))
  if not bytes then return nil end
  return decode(bytes)
end

function mtev.shared_seq(name) return (seq(shared_key(name, "shared_seq"))) end

-- Takes an item of *subject* at once, or parks until it comes: request(subject) takes or returns nil,
-- request(subject, ticket) takes or has the ticket woken; withdraw(ticket) gives up and tells what came meanwhile.
local function await(subject, timeout, request, withdraw)
  local item = request(subject)
  if item or timeout == 0 then return item end
  kernel.parkable()
  local ticket = kernel.ticket()
  return request(subject, ticket) or kernel.await(ticket, timeout) or withdraw(ticket)
end

local notify, take, withdraw = checked(border.shared_notify), checked(border.shared_take), checked(border.withdraw)

function mtev.shared_notify(key, value)
  key = shared_key(key, "shared_notify")
  value = plain(value, {})
  notify(key, encode(value))
end

-- The next value sent to *key*, waited for up to *timeout* seconds (nil: for good); nil when the time is up.
function mtev.shared_waitfor(key, timeout)
  local bytes = await(shared_key(key, "shared_waitfor"), wait_limit(timeout, "shared_waitfor"), take, withdraw)
  if bytes then return (decode(bytes)) end
  return nil
end

local sem_open, sem_take, sem_release = checked(border.semaphore_open), checked(border.semaphore_take),
  checked(border.semaphore_release)

local new_semaphore = class("mtev.semaphore", {
  acquire = function(self, timeout)
    return await(self.name, wait_limit(timeout, "acquire"), sem_take, withdraw) ~= nil
  end,
  try_acquire = function(self) return sem_take(self.name) ~= nil end,
  release = function(self) sem_release(self.name) end,
})

function mtev.semaphore(name, value)
  name = shared_key(name, "semaphore")
  local count = value == nil and 0 or numeral(value)
  if not count or count % 1 ~= 0 then
    refuse(2, "semaphore", "integer", tostring(value), 2)
  end
  sem_open(name, count)
  return new_semaphore({ name = name })
end
