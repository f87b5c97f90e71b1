-- Objects of the mtev API: tables that answer unknown names and misplaced dots as the original's userdata do.
-- Their metatables have `is_opaque`: what copies tables or writes them down takes such a table for a value of its own kind.

local getmetatable, error, pairs, tostring, setmetatable = getmetatable, error, pairs, tostring, setmetatable

-- Returns a constructor of objects of one type: it takes a table of fields and makes it an object.
-- Fields are looked up before methods and *constants*; any other name raises.  Also returns a function that adds methods.
local function class(type_name, methods, constants)
  local meta = { is_opaque = true }
  local guarded = {}
  for name, value in pairs(constants or {}) do guarded[name] = value end

  local function add(more)
    for name, method in pairs(more) do
      guarded[name] = function(self, ...)
        if getmetatable(self) ~= meta then error("must be called as method", 2) end
        return method(self, ...)
      end
    end
  end
  add(methods)

  meta.__index = setmetatable(guarded, {
    __index = function(_, key) error(type_name .. " no such element: " .. tostring(key), 2) end,
  })

  function meta.__tostring() return type_name end

  return function(fields) return setmetatable(fields, meta) end, add
end

return class
