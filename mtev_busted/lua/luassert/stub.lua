-- Stubs: spies on functions that do nothing, or what they are told, instead of calling the original.

local use = ...
local compare = use("luassert/compare")
local matcher = use("luassert/matcher")
local spy = use("luassert/spy")
local pack, unpack = compare.pack, compare.unpack

local stub = {}

local function nothing() end

local function answering(values) return function() return unpack(values) end end

local function checked(f)
  if not compare.callable(f) then error("stub: a function is expected, got " .. type(f), 3) end
  return f
end

-- What `returns` and `invokes` of *answers* lead to: put(function) notes it, and the stub is given back.
local function verbs(self, put)
  return {
    returns = function(...)
      put(answering(pack(...)))
      return self
    end,
    invokes = function(f)
      put(checked(f))
      return self
    end,
  }
end

-- Replaces holder[key] by a stub that returns the further arguments, or calls the only one if it is a function; without
-- a holder: a stub of its own.
function stub.new(holder, key, ...)
  if holder == nil and key == nil then holder, key = {}, "" end
  if type(holder) ~= "table" or key == nil then
    error("stub.new(): Can only create stub on a table key, call with 2 params; table, key", 2)
  end
  if holder[key] ~= nil and not compare.callable(holder[key]) then
    error("stub.new(): The element for which to create a stub must either be callable, or be nil; '" .. tostring(key)
      .. "' is a " .. type(holder[key]), 2)
  end
  local first = ...
  local default = nothing
  if select("#", ...) == 1 and compare.callable(first) then default = first
  elseif select("#", ...) > 0 then default = answering(pack(...)) end

  local special, answer = {}, nil -- answers to certain arguments; the answer set by `returns` or `invokes`

  local self = spy.new(function(...)
    local record = special[1] and matcher.record(...)
    for i = #special, 1, -1 do
      if matcher.fits(record, special[i].arguments) then return special[i].answer(...) end
    end
    return (answer or default)(...)
  end)

  local always = verbs(self, function(f) answer = f end)
  self.returns, self.invokes = always.returns, always.invokes
  self.by_default = verbs(self, function(f) default = f end)
  self.on_call_with = function(...)
    local arguments = matcher.record(...).vals
    return verbs(self, function(f) special[#special + 1] = { arguments = arguments, answer = f } end)
  end
  return spy.install(holder, key, self)
end

function stub.is_stub(value) return spy.is_spy(value) and rawget(value, "on_call_with") ~= nil end

return setmetatable(stub, { __call = function(_, ...) return stub.new(...) end })
