-- waitfor and notify: a registry of waiters by key, and mailboxes for what was sent before anyone waited.

local kernel, release, switch = ...

local park, seconds = kernel.park, kernel.seconds
local select, type, tostring, error, unpack, huge = select, type, tostring, error, unpack, math.huge

local M = {}
local waiters, mailboxes = {}, {}
kernel.name_registry(waiters, "waitfor")

local function mailbox_key(key, name)
  local kind = type(key)
  if kind == "string" then return key end
  if kind == "number" then return tostring(key) end
  error("bad argument #1 to '" .. name .. "' (string key expected, got " .. kind .. ")", 3)
end

local function receive(key, message)
  local following = message.following
  if following then
    following.last = message.last
    mailboxes[key] = following
  else
    mailboxes[key] = nil
  end
  if message.n == 1 then return key, message[1] end
  return key, unpack(message, 1, message.n)
end

function M.waitfor(key, timeout)
  key = mailbox_key(key, "waitfor")
  local message = mailboxes[key]
  if message then return receive(key, message) end
  if timeout then
    timeout = seconds(timeout, "waitfor", 2)
    if timeout <= 0 then return end
    if timeout == huge then timeout = nil end
  end
  if waiters[key] then error("waitfor cannot be called concurrently", 2) end
  return park(waiters, key, timeout)
end

function M.notify(...)
  if select("#", ...) == 0 then return end
  local key = mailbox_key((...), "notify")
  local task = waiters[key]
  if task then
    release(task)
    return switch(task, key, select(2, ...))
  end
  local message = { n = select("#", ...) - 1, select(2, ...) }
  local first = mailboxes[key]
  if first then
    (first.last or first).following = message
    first.last = message
  else
    mailboxes[key] = message
  end
end

return M
