-- Which requests are traced: decided here, by what the parser kept of a head and by the probabilities, so that one that
-- is not costs next to nothing.  runtime.zipkin decides the same for requests that Python reads, and makes the spans.
--
--   new(chances, seed) -> wanted     chances: new, parented and debug, 0 to 1; context, whether `traceparent` is taken
--   wanted(trace)                    trace: the headers of a head that tell of a trace, by lower-case name, or false

local tonumber = tonumber
local bit = require("bit")
local bxor, lshift, rshift, tobit = bit.bxor, bit.lshift, bit.rshift, bit.tobit
local match, sub = string.match, string.sub

local state = 1 -- of the draw: programs may rely on math.random

-- A number from 0 up to 1, and never 1.  Marsaglia, Xorshift RNGs, 2003.
local function draw()
  local x = state
  x = bxor(x, lshift(x, 13))
  x = bxor(x, rshift(x, 17))
  x = bxor(x, lshift(x, 5))
  state = x
  return (x % 4294967296) / 4294967296
end

local function drawn(chance) return chance >= 1 or chance > 0 and draw() < chance end

local function is_id(text)
  return match(text, "^[ \t]*%x+$") ~= nil or match(text, "^[ \t]*0[xX]%x+$") ~= nil
end

-- Whether *text*, a `traceparent`, tells of a trace; and whether that is recorded.  W3C Trace Context.
local function parent_of(text)
  local version, trace, parent, flags, more = match(text, "^[ \t]*(%x%x)%-(%x+)%-(%x+)%-(%x%x)(.*)$")
  if not version or #trace ~= 32 or #parent ~= 16 or match(text, "%u") or version == "ff" then return false end
  if more ~= "" and (sub(more, 1, 1) ~= "-" or version == "00") then return false end
  if not match(trace, "[^0]") or not match(parent, "[^0]") then return false end
  return true, tonumber(flags, 16) % 2 == 1
end

local function new(chances, seed)
  state = tobit(seed)
  return function(trace)
    if not trace then return drawn(chances.new) end
    local sampled, id, context = trace["x-b3-sampled"], trace["x-b3-traceid"], trace.traceparent
    local has_trace = id ~= nil and is_id(id)
    local has_parent = false
    if has_trace then
      local parent = trace["x-b3-parentspanid"]
      has_parent = parent ~= nil and is_id(parent)
    elseif chances.context and context then
      local is_recorded
      has_trace, is_recorded = parent_of(context)
      if has_trace and not is_recorded then return false end
      has_parent = has_trace
    end
    if sampled and tonumber(match(sub(sampled, 1, 32), "^[ \t]*([+-]?%d+)")) == 1 and drawn(chances.debug) then return true end
    if not has_trace then return drawn(chances.new) end
    return not has_parent or drawn(chances.parented)
  end
end

return new
