-- What `require "busted"` and busted's public modules give.

local use = ...
local busted = use("core")
local failure = use("failure")

for _, name in ipairs({ "publish", "subscribe", "unsubscribe", "bindfenv", "fail", "gettime", "monotime", "sleep",
  "parent", "children", "version", "register", "alias", "export", "hide", "exportApi" }) do
  busted.exportApi(name, busted[name])
end

local api = setmetatable({}, { __index = busted.api, __newindex = function(_, name)
  error("busted: the field '" .. tostring(name) .. "' cannot be changed", 2)
end })

busted.export("busted", api)

local fixtures = {}

local function checked(path, name, or_nil)
  if type(path) == "string" then return path end
  error(("bad argument to '%s' expected a string (relative filename)%s, got: %s"):format(name, or_nil or "", type(path)),
    3)
end

-- The absolute path of *path*, which is relative to the file that calls.
local function beside_caller(path)
  local file = failure.location()
  local parts, absolute = {}, path:sub(1, 1) == "/" and path
    or mtev.realpath(file and file:match("^(.*)/") or ".") .. "/" .. path
  for part in absolute:gmatch("[^/]+") do
    if part == ".." then
      table.remove(parts)
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. table.concat(parts, "/")
end

function fixtures.path(path)
  return beside_caller(checked(path == nil and "" or path, "path", " or nil"))
end

-- The contents of a file; raises if it cannot be read.
function fixtures.read(path)
  local file, message = io.open(beside_caller(checked(path, "read")), "rb")
  if not file then error(message, 2) end
  local contents = file:read("*a")
  file:close()
  return contents
end

-- What a Lua file returns, its extension given or not; raises if it cannot be run.
function fixtures.load(path)
  checked(path, "load")
  if not path:find("%.lua$") then path = path .. ".lua" end
  local chunk, message = loadfile(beside_caller(path))
  if not chunk then error(message, 2) end
  return chunk()
end

local modules = {
  busted = api,
  ["busted.init"] = api,
  ["busted.core"] = function() return busted end,
  ["busted.compatibility"] = { getfenv = getfenv, setfenv = setfenv, unpack = unpack, loadstring = loadstring,
    exit = os.exit, execute = os.execute },
  ["busted.fixtures"] = fixtures,
  ["busted.runner"] = function() return function() end end, -- the run has begun already
  ["busted.status"] = busted.status,
}
for name, module in pairs(modules) do package.loaded[name] = module end
