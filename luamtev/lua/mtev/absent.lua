-- What the original has and this version has not: it is there by name, and says so when it is used.

local tostring, error, setmetatable = tostring, error, setmetatable

local function refuse(name) error(name .. " is not available in this version", 3) end

local function absent(name)
  return setmetatable({}, {
    __call = function() refuse(name) end,
    __index = function(_, member) refuse(name .. "." .. tostring(member)) end,
    __tostring = function() return name end,
  })
end

for _, name in ipairs({ "stats" }) do
  mtev[name] = absent("mtev." .. name)
  package.loaded["mtev." .. name] = mtev[name]
end
