-- What ffi.load("mtev") returns: the functions of the C library under their names, in Lua over ffi.  A family of them
-- is loaded when the first is asked for.  manual: Programmer's Reference Manual, C.
--
-- They take what a C function takes: strings, pointers and arrays of whatever types the caller declared, and numbers.
-- Results are of the caller's types too, where he declared them under the names of the manual.

local home = ...

local ipairs, type, error, tostring = ipairs, type, error, tostring
local find = string.find
local load_library = home.load_library
local arguments = load_library("ffi_mtev/arguments", home)

local families = {
  { "btrie", "^mtev_btrie_" },
  { "cht", "^mtev_cht_" },
  { "cht", "^mtev_hash__hash$" },
  { "confstr", "^mtev_confstr_" },
  { "confstr", "^mtev_get_durations_" },
  { "encodings", "^mtev_b32_" },
  { "encodings", "^mtev_b64_" },
  { "encodings", "^mtev_html_" },
  { "encodings", "^mtev_url_" },
  { "intern", "^mtev_intern" },
  { "log", "^mtev_log_stream_find$" },
  { "logic", "^mtev_logic_" },
  { "rand", "^mtev_rand" },
  { "str_buff", "^mtev_prepend_str" },
  { "str_buff", "^mtev_str_buff_" },
  { "str_buff", "^mtev_append_str_buff$" },
  { "time", "^mtev_perftimer_" },
  { "time", "^mtev_now_" },
  { "time", "^mtev_get_nanos$" },
  { "time", "^mtev_sys_gethrtime$" },
  { "time", "^mtev_gettimeofday$" },
  { "uuid", "^mtev_uuid_" },
}

local known = { mtev_false = 0, mtev_true = 1 }
local loaded = {}

local function family(name)
  if not loaded[name] then loaded[name] = load_library("ffi_mtev/" .. name, home, arguments, family) end
  return loaded[name]
end

local function member(name)
  for _, each in ipairs(families) do
    if type(name) == "string" and find(name, each[2]) then
      local found = family(each[1])[name]
      if found ~= nil then
        known[name] = found
        return found
      end
    end
  end
  error("ffi.load('mtev') has no '" .. tostring(name) .. "'", 3)
end

-- Known names are one look-up in a table, which compiled code does once.
setmetatable(known, { __index = function(_, name) return member(name) end })

return setmetatable({}, {
  __index = known,
  __newindex = function(_, name) error("ffi.load('mtev'): '" .. tostring(name) .. "' cannot be set", 2) end,
  __tostring = function() return "library: mtev" end,
})
