-- mtev.utf8tohtml: what is not ASCII becomes HTML entities, by the names of HTML 4 where there is one.

local home = ...

local border, checked, check_bytes = home.border, home.checked, home.need("arguments").check_bytes
local byte, gsub, format, rep = string.byte, string.gsub, string.format, string.rep

local names -- code point -> name, asked for when it is first needed
local REPLACEMENT = "&#65533;" -- for each byte that is no part of UTF-8

local function entity(code)
  names = names or checked(border.html_entities)()
  local name = names[code]
  return name and "&" .. name .. ";" or format("&#%d;", code)
end

local smallest = { 0, 0x80, 0x800, 0x10000 } -- code point of a sequence so long, RFC 3629

-- The code point of the sequence at the start of *text* and its length, or nothing.
local function decode(text)
  local lead = byte(text)
  local length = lead >= 0xf0 and 4 or lead >= 0xe0 and 3 or lead >= 0xc2 and 2 or 0
  if length == 0 or #text < length or lead > 0xf4 then return end
  local code = lead % 2 ^ (7 - length)
  for i = 2, length do code = code * 64 + byte(text, i) % 64 end
  if code < smallest[length] or code > 0x10ffff or code >= 0xd800 and code <= 0xdfff then return end
  return code, length
end

local function to_entities(text)
  local code, length = decode(text)
  if not code then return rep(REPLACEMENT, #text) end
  return entity(code) .. rep(REPLACEMENT, #text - length)
end

local tags = { ["<"] = "&lt;", [">"] = "&gt;" }

function mtev.utf8tohtml(text, escape_tags)
  text = check_bytes(text, "utf8tohtml")
  if escape_tags then text = gsub(text, "[<>]", tags) end
  return (gsub(text, "[\128-\255][\128-\191]*", to_entities))
end
