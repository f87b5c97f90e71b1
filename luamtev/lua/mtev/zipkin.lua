-- mtev.zipkin: the span of the request that the running coroutine works for, and the spans of requests that it makes.
-- A coroutine has the span of whoever spawned it; kernel.carried() is its number, nil while nothing is traced.

local home = ...

local class = home.need("mtev/object")
local kernel, border, checked, check_bytes = home.kernel, home.border, home.checked, home.need("arguments").check_bytes
local refuse = home.need("arguments").refuse
local carried = kernel.carried
local is_alive, annotate_span, tag_span = border.zipkin_is_alive, border.zipkin_annotate, checked(border.zipkin_tag)
local ids_of = checked(border.zipkin_ids)
local type, getmetatable = type, getmetatable

local timeval = getmetatable(mtev.timeval.new(0, 0))

-- annotate(text[, timeval]): text happened, now or then.
local function annotate(self, caller, text, when)
  text = check_bytes(text, caller)
  if when ~= nil and getmetatable(when) ~= timeval then
    refuse(2, caller, "mtev.timeval", type(when), 3)
  end
  annotate_span(self.number, text, when and when.sec * 1000000 + when.usec or nil)
end

-- tag(key, value): key is value, a number or a text.
local function tag(self, caller, key, value)
  key = check_bytes(key, caller)
  local kind = type(value)
  if kind ~= "number" and kind ~= "string" then
    refuse(2, caller, "number or string", kind, 3)
  end
  tag_span(self.number, key, value)
end

local new_span = class("mtev.zipkin_span", {
  annotate = function(self, text, when) return annotate(self, "annotate", text, when) end,
  log = function(self, text, when) return annotate(self, "log", text, when) end,
  bannotate = function(self, key, value) return tag(self, "bannotate", key, value) end,
  tag = function(self, key, value) return tag(self, "tag", key, value) end,
  -- The ids of trace, span and parent, in hexadecimal; no parent is nil.
  ids = function(self) return ids_of(self.number) end,
})

local zipkin = {}

-- The span of the request that is worked for here; nil when it is not traced, or over.
function zipkin.active()
  local number = carried()
  return number and is_alive(number) and new_span({ number = number }) or nil
end

mtev.zipkin = zipkin

return zipkin
