-- mtev.gunzip: a function that inflates a stream piece by piece: gzip, zlib, or bare deflate data.

local home = ...

local border, checked = home.border, home.checked
local check_bytes, numeral = home.need("arguments").check_bytes, home.need("arguments").numeral
local refuse = home.need("arguments").refuse
local tostring, error = tostring, error

local LIMIT = 1048576 -- bytes a call may give
local STREAM_BYTES = 49152 -- memory for a stream that has not ended, roughly
local open, inflate, close = checked(border.gunzip_open), checked(border.gunzip_inflate), border.gunzip_close

local guarded, lighten = home.need("mtev/guards")(close)

-- A function that inflates, and one that tells whether the stream has come to its end.
local function new_inflater()
  local guard = guarded(open(), STREAM_BYTES)

  local function inflate_more(data, limit)
    data = check_bytes(data, "gunzip")
    local most = limit == nil and LIMIT or numeral(limit)
    if not most or not (most >= 0) then
      refuse(2, "gunzip", "number of bytes", tostring(limit), 2)
    end
    local text, failure, has_ended = inflate(guard.handle, data, most < 2 ^ 53 and most or 2 ^ 53)
    if has_ended then lighten(guard) end
    if not text then error(failure, 2) end
    return text
  end

  return inflate_more, function() return guard.bytes == 0 end
end

function mtev.gunzip() return (new_inflater()) end

return { new_inflater = new_inflater }
