-- Publish and subscribe on channels, which are lists of names: a message goes to the subscribers of its channel, then
-- to those of each shorter prefix of it.

local M = {}

local root = { subscribers = {}, inner = {} }
local last_id = 0

local function node_of(channel, create)
  local node = root
  for _, name in ipairs(channel) do
    local inner = node.inner[name]
    if not inner then
      if not create then return node end
      inner = { subscribers = {}, inner = {}, outer = node }
      node.inner[name] = inner
    end
    node = inner
  end
  return node
end

local function checked(channel)
  if type(channel) ~= "table" then error("busted: a channel is a table of names, got " .. type(channel), 3) end
  return channel
end

-- Calls callback(...) for what is published.  options: priority (place among the subscribers, 1 is first), predicate.
-- A callback whose second result is false keeps the message from those behind it.  Returns the subscription.
function M.subscribe(channel, callback, options)
  local node = node_of(checked(channel), true)
  if type(callback) ~= "function" then error("busted: subscribe needs a function, got " .. type(callback), 2) end
  last_id = last_id + 1
  local subscription = { id = last_id, callback = callback, channel = channel,
    predicate = options and options.predicate }
  local place = options and tonumber(options.priority) or #node.subscribers + 1
  table.insert(node.subscribers, math.max(1, math.min(place, #node.subscribers + 1)), subscription)
  return subscription
end

-- Ends a subscription, given itself or its id.
function M.unsubscribe(subscription, channel)
  local id = type(subscription) == "table" and subscription.id or subscription
  local node = node_of(checked(channel or subscription.channel), false)
  for i, each in ipairs(node.subscribers) do
    if each.id == id then
      table.remove(node.subscribers, i)
      return each
    end
  end
end

-- Like publish, but every callback is called, and one that raises is told to on_error(error) instead of the publisher.
-- Returns whether none raised.
function M.deliver(channel, on_error, ...)
  local node, fine = node_of(checked(channel), false), true
  while node do
    for _, each in ipairs({ unpack(node.subscribers) }) do
      local ok, wanted = true, true
      if each.predicate then ok, wanted = xpcall(each.predicate, on_error, ...) end
      if ok and wanted then ok = xpcall(each.callback, on_error, ...) end
      fine = fine and ok
    end
    node = node.outer
  end
  return fine
end

-- Returns the first results of the callbacks, as a list.
function M.publish(channel, ...)
  local node, results = node_of(checked(channel), false), {}
  while node do
    local subscribers = node.subscribers
    local i = 1
    while i <= #subscribers do
      local each = subscribers[i]
      if not each.predicate or each.predicate(...) then
        local result, continue = each.callback(...)
        if result ~= nil then results[#results + 1] = result end
        if continue == false then return results end
      end
      if subscribers[i] == each then i = i + 1 end
    end
    node = node.outer
  end
  return results
end

return M
