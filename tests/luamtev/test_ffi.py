"""``ffi.load("mtev")`` beside what programs have of their own."""

import subprocess
import sys
from pathlib import Path


def run(folder: Path, body: str) -> list[str]:
    script = folder / "program.lua"
    script.write_text(f"local ffi = require('ffi')\nfunction main()\n{body}\nos.exit(0)\nend\n")
    command = [sys.executable, "-m", "luamtev", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.split()


def test_nothing_is_loaded_until_it_is_asked_for(tmp_path: Path) -> None:
    body = """
    local function has(name) return tostring((pcall(ffi.typeof, name))) end
    print(has("luamtev_trie"), has("luamtev_cht"))
    local libmtev = ffi.load("mtev")
    print(has("luamtev_trie"), has("luamtev_cht"))
    local found = libmtev.mtev_btrie_drop_tree
    print(has("luamtev_trie"), has("luamtev_cht"))
    """
    assert run(tmp_path, body) == ["false", "false", "false", "false", "true", "false"]


def test_booleans_are_of_the_type_that_the_program_declares(tmp_path: Path) -> None:
    body = """
    ffi.cdef "typedef bool mtev_boolean; typedef struct { mtev_boolean (*lookup)(void *, const char *, void *); } ops;"
    local libmtev = ffi.load("mtev")
    local ops = ffi.new("ops[1]")
    ops[0].lookup = function(_, name, var)
      libmtev.mtev_logic_var_set_int64(var, 5)
      return ffi.string(name) == "five"
    end
    local exec = libmtev.mtev_logic_exec_alloc(ops)
    for _, text in ipairs({ "five = 5", "six = 6" }) do
      print(tostring(libmtev.mtev_logic_exec(exec, libmtev.mtev_logic_parse(text, nil), nil)))
    end
    local out = ffi.new("mtev_boolean[1]")
    print(libmtev.mtev_confstr_parse_boolean("yes", out), tostring(out[0]))
    """
    assert run(tmp_path, body) == ["true", "false", "0", "true"]


def test_what_a_program_declared_nothing_for_has_types_of_its_own(tmp_path: Path) -> None:
    body = """
    local libmtev = ffi.load("mtev")
    local buff = libmtev.mtev_str_buff_alloc()
    libmtev.mtev_append_str_buff(buff, "text", 4)
    local value = libmtev.mtev_intern_str("text", 0)
    print(ffi.string(buff.string), ffi.string(libmtev.mtev_intern_get_cstr(value)))
    print(ffi.string(libmtev.mtev_get_durations_ms()[0].key))
    """
    assert run(tmp_path, body) == ["text", "text", "ms"]
