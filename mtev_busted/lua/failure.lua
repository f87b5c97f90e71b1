-- What a failed assertion, `pending()` inside a test and a timeout raise: an object that says which of them it is and
-- prints as "file:line: message".  Any other error is an error of the code under test.

local M = {}

local own = debug.getinfo(1, "S").source:match("^(.*)failure%.lua$")

local Failure = {}
Failure.__index = Failure
Failure.__tostring = function(self) return self.message end
Failure.__concat = function(a, b) return tostring(a) .. tostring(b) end

-- True for the source of a file of this runner.
function M.is_own(source) return source:sub(1, #own) == own end

-- A message without the place in this runner that it begins with, if it does: `require` puts that of its caller there.
function M.without_own_place(message)
  local path, text = message:match("^([^\n]-):%d+: (.*)$")
  return path and M.is_own("@" .. path) and text or message
end

-- The innermost call outside the runner: file, line; `skip` such calls are passed over.  Who knows that the first calls
-- are the runner's own gives the *level* to begin at.
function M.location(skip, level)
  skip, level = skip or 0, level or 2
  while true do
    local info = debug.getinfo(level, "Sl")
    if not info then return nil end
    if info.what ~= "C" and info.currentline > 0 and not M.is_own(info.source) then
      if skip == 0 then return info.source:match("^@(.*)") or info.short_src, info.currentline, info.source end
      skip = skip - 1
    end
    level = level + 1
  end
end

-- A failure of *kind* "failure", "pending" or "error", located at its caller outside the runner; the text of a pending
-- one stays as it is.
function M.new(kind, message, skip)
  local file, line = M.location(skip)
  local text = tostring(message)
  if file and kind ~= "pending" then text = file .. ":" .. line .. ": " .. text end
  return setmetatable({ kind = kind, message = text, file = file, line = line }, Failure)
end

function M.raise(kind, message, skip) error(M.new(kind, message, skip), 0) end

-- An argument of a function of the runner is not what it takes.
function M.refuse(position, name, expected, got)
  M.raise("error", ("bad argument #%d to '%s' (%s expected, got %s)"):format(position, name, expected, got))
end

local raised = setmetatable({}, { __mode = "k" }) -- values that assert(false, value) raised

-- Raises a value as it is; caught, it counts as a failed assertion.
function M.raise_value(value)
  if type(value) == "table" then raised[value] = true end
  error(value, 0)
end

-- Whether a value was raised by raise_value.
function M.is_raised(value) return type(value) == "table" and raised[value] or false end

function M.is(value) return getmetatable(value) == Failure end

return M
