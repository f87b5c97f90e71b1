-- What is registered: modifiers, assertions and matchers by lower-case name, and how names are found in a chain of words.

local spaces = { modifier = {}, assertion = {}, matcher = {} }
local M = { spaces = spaces }

local version = 1

-- Counts registrations: what was resolved under another version is to be resolved again.
function M.version() return version end

-- callback(state, arguments, level); messages are keys of `say`, or texts.
function M.register(kind, name, callback, positive_message, negative_message)
  local lowered = name:lower()
  spaces[kind][lowered] = { name = lowered, kind = kind, callback = callback, positive_message = positive_message,
    negative_message = negative_message }
  version = version + 1
end

function M.unregister(kind, name)
  local space = spaces[kind]
  if not space then error("luassert: unknown namespace '" .. tostring(kind) .. "'", 3) end
  if type(name) ~= "string" then error("luassert: the name to unregister must be a string", 3) end
  space[name:lower()] = nil
  version = version + 1
end

-- Appends the words of a key, "is_not" or "Nil", in lower case to a list.
function M.add_words(words, key)
  for word in key:lower():gmatch("[^_]+") do words[#words + 1] = word end
  return words
end

-- The entries that a list of words names, the longest name first: of *kind*, or modifiers.  Raises for what is neither.
function M.resolve(kind, words)
  local entries, at, count = {}, 1, #words
  while at <= count do
    local found, last
    for stop = count, at, -1 do
      local name = table.concat(words, "_", at, stop)
      found, last = spaces[kind][name] or spaces.modifier[name], stop
      if found then break end
    end
    if not found then return nil, table.concat(words, "_") end
    entries[#entries + 1] = found
    at = last + 1
  end
  return entries
end

return M
