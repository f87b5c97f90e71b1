-- Regular expressions where the system has no PCRE2 library: an engine like that of pcre_library, on the pcre2 package
-- below Lua.  A crossing brings several matches home, more each time they are used up.

local home = ...

local min = math.min
local border, checked = home.border, home.checked
local ffi = require("ffi")

local MOST = 64 -- matches a crossing

return function()
  local engine = {}
  local compile, search = checked(border.pcre_compile), checked(border.pcre_search)

  function engine.compile(expression)
    local handle, groups, offset = compile(expression)
    if not handle then return nil, groups, offset end
    return {
      handle = handle,
      owner = ffi.gc(ffi.new("char[1]"), function() border.pcre_release(handle) end),
    }, groups
  end

  function engine.searcher(known, groups)
    local width = 2 * groups + 2
    local spans = {} -- of one match, counted from `start`
    local text, found, at, next_start, next_empty, most = nil, nil, 0, -1, false, 1

    return function(subject, start, after_empty, limit, depth)
      local expected = text == subject and start == next_start and after_empty == next_empty and not limit and not depth
      if not expected or at >= #found then
        most = expected and min(most * 8, MOST) or 1
        found = search(known.handle, subject, start, after_empty, most, limit or 0, depth or 0)
        at, text = 0, not limit and not depth and subject or nil
      end
      if at >= #found then
        next_start = -1
        return nil
      end
      for i = 1, width do
        local place = found[at + i]
        spans[i - 1] = place < 0 and -1 or place - start
      end
      at = at + width
      next_start, next_empty = start + spans[1], spans[0] == spans[1]
      return spans[0], spans[1], spans
    end
  end

  return engine
end
