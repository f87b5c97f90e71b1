-- Publish and subscribe on channels, which are lists of names: a message goes to the subscribers of its channel, then
-- to those of each shorter prefix of it.  Lists of subscribers are never changed but replaced.

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
  local list = { unpack(node.subscribers) }
  local place = options and tonumber(options.priority) or #list + 1
  table.insert(list, math.max(1, math.min(place, #list + 1)), subscription)
  node.subscribers = list
  return subscription
end

-- Ends a subscription, given itself or its id.
function M.unsubscribe(subscription, channel)
  local id = type(subscription) == "table" and subscription.id or subscription
  local node = node_of(checked(channel or subscription.channel), false)
  for i, each in ipairs(node.subscribers) do
    if each.id == id then
      local list = { unpack(node.subscribers) }
      table.remove(list, i)
      node.subscribers = list
      return each
    end
  end
end

-- Like publish, but every callback is called with four values, and what those that raise raise goes through *catch*.
-- Returns a list of that, or nil.  As it is called for whatever happens, all of it can be compiled.
function M.deliver(channel, catch, a, b, c, d)
  local node, wrong = node_of(checked(channel), false), nil
  while node do
    local subscribers = node.subscribers
    for i = 1, #subscribers do
      local each = subscribers[i]
      local ok, wanted = true, true
      if each.predicate then ok, wanted = xpcall(each.predicate, catch, a, b, c, d) end
      if ok and wanted then ok, wanted = xpcall(each.callback, catch, a, b, c, d) end
      if not ok then
        wrong = wrong or {}
        wrong[#wrong + 1] = wanted
      end
    end
    node = node.outer
  end
  return wrong
end

-- Returns the first results of the callbacks, as a list.
function M.publish(channel, ...)
  local node, results = node_of(checked(channel), false), {}
  while node do
    local subscribers = node.subscribers
    for i = 1, #subscribers do
      local each = subscribers[i]
      if not each.predicate or each.predicate(...) then
        local result, continue = each.callback(...)
        if result ~= nil then results[#results + 1] = result end
        if continue == false then return results end
      end
    end
    node = node.outer
  end
  return results
end

return M
