-- mtev.parsejson and mtev.tojson.  An mtev.json object is JSON text that is known to be good; its Lua value is made
-- when the text is read, handed out once, and made again for whoever asks again, so that no two share tables.

local home = ...

local sub = string.sub
local refuse = home.need("arguments").refuse
local class = home.need("mtev/object")
local decode, encoder = home.need("mtev/json_decode").decode, home.need("mtev/json_encode")
local encode, reformat = encoder.encode, encoder.reformat
local type, tonumber, tostring, select, error = type, tonumber, tostring, select, error

local function no_arguments(...)
  local n = select("#", ...)
  if n > 0 then error("expects no arguments, got " .. n, 3) end
end

local new_json = class("mtev.json", {
  document = function(self, ...)
    no_arguments(...)
    if self.has_value then
      local value = self.value
      self.has_value, self.value = false, false
      return value
    end
    local _, value = decode(self.text)
    return value
  end,
  tostring = function(self, ...)
    no_arguments(...)
    if not self.formatted then
      self.text, self.formatted = reformat(self.text), true
    end
    return self.text
  end,
})

function mtev.parsejson(text)
  if type(text) ~= "string" then
    if type(text) ~= "number" then
      refuse(1, "parsejson", "string", type(text), 2)
    end
    text = tostring(text)
  end
  local ok, value, after = decode(text)
  if not ok then return nil, value, after end
  if after < #text then text = sub(text, 1, after) end
  return new_json({ text = text, formatted = false, value = value, has_value = value ~= nil })
end

function mtev.tojson(value, max_depth)
  local limit = max_depth == nil and -1 or tonumber(max_depth)
  if not limit or limit % 1 ~= 0 then
    refuse(2, "tojson", "number of levels", tostring(max_depth), 2)
  end
  return new_json({ text = encode(value, limit), formatted = true, value = false, has_value = false })
end
