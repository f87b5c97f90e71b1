-- What `make lint` asks of Lua.
std = "luajit+mtev"
max_line_length = false -- the source keeps to 120 columns where it can
ignore = { "581" } -- `not (x >= y)`: refuses NaN, too
self = false -- a method need not use its object
exclude_files = { ".venv*", "tests/data", "tests/mtev_busted/statements.lua" } -- what tests feed to others

local constants = {}
for name in ([[ MTEV_HOOK_CONTINUE MTEV_HOOK_DONE MTEV_HOOK_ABORT
  O_RDONLY O_WRONLY O_RDWR O_APPEND O_CREAT O_EXCL O_TRUNC O_SYNC O_NOFOLLOW O_NONBLOCK
  S_IFMT S_IFDIR S_IFREG S_IFLNK S_IFIFO S_IFSOCK S_IFCHR S_IFBLK ]]):gmatch("%S+") do
  constants[#constants + 1] = name
end

-- What a state has beside LuaJIT's own.
stds.mtev = {
  globals = { mtev = { other_fields = true } },
  read_globals = {
    "ENV", "arg", "errorf", "ffi", "pack", "printf", "unpack", unpack(constants),
    string = { fields = { "pack", "unpack" } },
  },
}

-- What a spec has beside that.
local runner = {}
for name in ([[ API HTTP HTTPS busted charstar find_test_dir kill_child mk_coroutine_reader
  run_command_synchronously_return_output set_api_host set_api_port sourcedir start_child strsignal _file _filejson
  ]]):gmatch("%S+") do
  runner[#runner + 1] = name
end
stds.runner = { read_globals = runner }
files["spec"] = { std = "+busted+runner" }
files["spec/busted/blocks_spec.lua"] = { -- about globals that a block sets
  globals = { "from_hook", "inside_test", "leaked", "outside", "two_levels_out", string = { fields = { "leaked_too" } } },
}
files["examples/spec"] = { std = "+busted+runner" }

-- The program makes these, and puts its own in the place of some of LuaJIT's.
files["luamtev/lua"] = {
  globals = {
    "arg", "ENV", "errorf", "ffi", "mtev", "pack", "print", "printf", "setfenv", "unpack",
    coroutine = { fields = { "_resume", "resume", "running", "status", "wrap" } },
    ffi = { fields = { "load" }, other_fields = true },
    os = { fields = { "exit" } },
    string = { fields = { "pack", "unpack" } },
  },
}
files["mtev_busted/lua"] = { globals = { "arg", "dofile", "load", "loadfile", "loadstring", os = { fields = { "exit" } } } }

-- A module is a table of functions that the program calls by name, or some globals of that kind.
for _, room in ipairs({ "examples", "benchmarks" }) do
  files[room] = { allow_defined_top = true, ignore = { "131" } }
end

-- Annotations for editors: declarations without bodies.
files["luamtev/library"] = { allow_defined_top = true, ignore = { "122", "131", "142", "143", "212", "241" } }
