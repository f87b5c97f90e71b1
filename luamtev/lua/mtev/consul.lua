-- mtev.consul: services of this process, registered with a Consul agent.

local home = ...

local class = home.need("mtev/object")
local border, checked = home.border, home.checked
local register, deregister = checked(border.consul_register), checked(border.consul_deregister)
local set_state = checked(border.consul_set_state)
local type, pairs, tostring, error, sort = type, pairs, tostring, error, table.sort

local function want(value, wanted, what, usage, level)
  if type(value) ~= wanted then
    error(usage .. ": " .. what .. ": " .. wanted .. " expected, got " .. type(value), level or 3)
  end
  return value
end

local function want_text(value, what, usage)
  if want(value, "string", what, usage, 4) == "" then
    error(usage .. ": " .. what .. ": expected a text that is not empty", 3)
  end
  return value
end

local function want_seconds(value, what, usage)
  want(value, "number", what, usage, 4)
  if not (value > 0 and value <= 1e9) then error(usage .. ": " .. what .. ": expected seconds above 0", 3) end
  return value
end

-- Indices of checks begin with 0.
local function state_setter(state)
  return function(self, index, note)
    local usage = state .. "(index[, text])"
    want(index, "number", "index", usage)
    if index % 1 ~= 0 then error(usage .. ": index: expected a whole number", 2) end
    if note ~= nil then want(note, "string", "text", usage) end
    set_state(self.id, index, state, note or "")
  end
end

local new_handle = class("mtev.consul.handle", {
  passing = state_setter("passing"),
  warning = state_setter("warning"),
  critical = state_setter("critical"),
  -- Has the agent forget the service.
  deregister = function(self) deregister(self.id) end,
  -- Has it registered again, as it was described.
  register = function(self) register(self.document) end,
})

local function add(self, check)
  self.checks[#self.checks + 1] = check
  return #self.checks - 1
end

local function texts(given, what, usage)
  local found = {}
  for key, value in pairs(want(given or {}, "table", what, usage, 4)) do found[tostring(key)] = tostring(value) end
  return found
end

local new_service = class("mtev.consul.service", {
  -- A check whose state is told three times within ttl seconds.
  check_push = function(self, name, ttl, dereg)
    local usage = "check_push(name, ttl, deregister)"
    return add(self, {
      "push", want_text(name, "name", usage), want_seconds(ttl, "ttl", usage),
      want_seconds(dereg, "deregister", usage),
    })
  end,
  -- A check for which the agent asks a URL, or a path of this service.
  check_http = function(self, name, url, method, interval, timeout, dereg)
    local usage = "check_http(name, url, method, interval, timeout, deregister)"
    return add(self, {
      "http", want_text(name, "name", usage), want_text(url, "url", usage),
      want_text(method, "method", usage), want_seconds(interval, "interval", usage),
      want_seconds(timeout, "timeout", usage), want_seconds(dereg, "deregister", usage),
    })
  end,
  -- A check for which it connects to HOST:PORT.
  check_tcp = function(self, name, address, interval, timeout, dereg)
    local usage = "check_tcp(name, address, interval, timeout, deregister)"
    return add(self, {
      "tcp", want_text(name, "name", usage), want_text(address, "address", usage),
      want_seconds(interval, "interval", usage), want_seconds(timeout, "timeout", usage),
      want_seconds(dereg, "deregister", usage),
    })
  end,
  -- Has the agent know it, now or as soon as it is there; a handle.
  register = function(self)
    local tags = {}
    for key, value in pairs(self.tags) do tags[#tags + 1] = value == "" and key or key .. ":" .. value end
    sort(tags)
    local document = mtev.tojson({
      name = self.name, id = self.id, address = self.address, port = self.port,
      tags = tags, meta = self.meta, checks = self.checks,
    }):tostring()
    return new_handle({ document = document, id = (register(document)) })
  end,
})

mtev.consul = {
  -- Describes a service; checks are added, and then it is registered.
  service = function(name, id, address, port, tags, meta)
    local usage = "service(name, id, address, port[, tags[, meta]])"
    want_text(name, "name", usage)
    if id ~= nil then want(id, "string", "id", usage) end
    if address ~= nil then want(address, "string", "address", usage) end
    want(port, "number", "port", usage)
    if port < 1 or port > 65535 or port % 1 ~= 0 then error(usage .. ": port: expected 1 to 65535", 2) end
    return new_service({
      name = name, id = id, address = address, port = port,
      tags = texts(tags, "tags", usage), meta = texts(meta, "meta", usage), checks = {},
    })
  end,
}

return mtev.consul
