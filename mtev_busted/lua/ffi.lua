-- ffi.cdef and ffi.metatype for modules that are loaded again in each insulated file: a declaration made before stands,
-- and a type keeps the metatable it got first.

local ffi = require("ffi")

local cdef, metatype = ffi.cdef, ffi.metatype
local declared, types = {}, {}

function ffi.cdef(text, ...)
  if select("#", ...) > 0 then return cdef(text, ...) end
  if declared[text] then return end
  cdef(text)
  declared[text] = true
end

function ffi.metatype(ctype, metatable)
  local name = tostring(ffi.typeof(ctype))
  if not types[name] then types[name] = metatype(ctype, metatable) end
  return types[name]
end
