-- mtev_log_stream_find: the stream of a name, as a pointer to that name.

local _, arguments = ...

local ffi = require("ffi")

local M = {}

local streams = {} -- name -> its memory, which lives as long as the state

-- Streams are made when they are first asked for, so there is one for every name.
function M.mtev_log_stream_find(name)
  local wanted = arguments.text(name, "mtev_log_stream_find", "name")
  streams[wanted] = streams[wanted] or ffi.new("char[?]", #wanted + 1, wanted)
  return ffi.cast(arguments.declared("mtev_log_stream_t", ffi.typeof("void *")), streams[wanted])
end

-- The name of a stream found before.
function M.name_of(stream)
  return ffi.string(arguments.pointer(ffi.typeof("const char *"), stream, "mtev_log_stream_t", "the stream"))
end

return M
