-- Handles of the other side that are released when nobody in Lua has them any more.
--
--   guarded, lighten = guards(release)     for handles that release(handle) lets go of
--   guarded(handle, bytes)                 -> what holds the handle: guard.handle, guard.bytes
--   lighten(guard)                         nothing hangs on its handle any more
--
-- The collector sees a guard of a few bytes, and not how much hangs on its handle: that is counted here, and much of it
-- has garbage collected.

local collectgarbage = collectgarbage
local ffi = require("ffi")
local max = math.max

local QUIET_BYTES = 64 * 1024 * 1024 -- so much more memory behind handles is no reason to collect garbage

local releases = {}
local held, collect_at = 0, QUIET_BYTES

local Guard = ffi.metatype("struct { double handle, bytes; int kind; }", {
  __gc = function(guard)
    held = held - guard.bytes
    releases[guard.kind](guard.handle)
  end,
})

local function lighten(guard)
  held = held - guard.bytes
  guard.bytes = 0
end

return function(release)
  local kind = #releases + 1
  releases[kind] = release

  return function(handle, bytes)
    held = held + bytes
    if held > collect_at then
      collectgarbage()
      collect_at = held + max(QUIET_BYTES, held / 2)
    end
    return Guard(handle, bytes, kind)
  end, lighten
end
