-- mtev.gunzip: a function that inflates a stream piece by piece: gzip, zlib, or bare deflate data.

local home = ...

local ffi = require("ffi")
local border, checked, check_bytes = home.border, home.checked, home.check_bytes
local type, tostring, error = type, tostring, error

local LIMIT = 1048576 -- bytes a call may give
local open, inflate, close = checked(border.gunzip_open), checked(border.gunzip_inflate), border.gunzip_close

function mtev.gunzip()
  local handle = open()
  local stream = { handle = handle, owner = ffi.gc(ffi.new("char[1]"), function() close(handle) end) }

  return function(data, limit)
    data = check_bytes(data, "gunzip")
    if limit == nil then
      limit = LIMIT
    elseif type(limit) ~= "number" or not (limit >= 0) then
      error("bad argument #2 to 'gunzip' (number of bytes expected, got " .. tostring(limit) .. ")", 2)
    end
    local text, failure = inflate(stream.handle, data, limit < 2 ^ 53 and limit or 2 ^ 53)
    if not text then error(failure, 2) end
    return text
  end
end
