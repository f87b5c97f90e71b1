"""``ffi.load("mtev")`` beside what programs have of their own."""

import itertools
import re
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


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "lua" / "ffi.md"


def names() -> list[str]:
    """Every function of the page's table, with what stands in braces written out."""
    found = []
    rows = re.findall(r"^\| (?!values)[\w ]+ \| (`mtev_.*) \|$", PAGE.read_text(), re.MULTILINE)
    for pattern in re.findall(r"`(mtev_[\w{},]+)`", " ".join(rows)):
        parts = [part.strip("{}").split(",") for part in re.split(r"(\{[^}]*\})", pattern)]
        found += ["".join(each) for each in itertools.product(*parts)]
    return sorted(found)


def test_whatever_is_given_a_function_answers_or_raises_its_name(tmp_path: Path) -> None:
    """Texts, numbers, tables and NULL where something else belongs, and lengths that are none."""
    assert len(names()) > 90
    body = """
    local libmtev = ffi.load("mtev")
    local memory = ffi.new("char[256]")
    ffi.fill(memory, 256, 77)
    local NULL = {}
    local others = { NULL, "", "abc", "MZXW6===", {}, true, print, 0, -1, 3, 8, 2 ^ 31, 0 / 0, 1e300, 1.5 }
    local takes_bytes = { b32 = 1, b64 = 1, url = 1, html = 1, rand = 1, uuid = 1, confstr = 1 }
    local drawn = 7
    local function draw(n)
      drawn = (drawn * 1103515245 + 12345) % 2 ^ 31
      return math.floor(drawn / 65536) % n + 1
    end
    for name in ([[NAMES]]):gmatch("%S+") do
      local call, given = libmtev[name], {}
      for _ = 1, 1000 do
        local count = draw(7) - 1
        for i = 1, count do
          given[i] = others[draw(#others)]
          if takes_bytes[name:match("^mtev_(%l%w*)")] and draw(3) == 1 then given[i] = memory + 64 end
          if given[i] == NULL then given[i] = nil end
        end
        local ok, why = pcall(call, unpack(given, 1, count))
        if not ok and not why:find(name, 1, true) then print(name:gsub(" ", "_") .. ":" .. why:gsub(" ", "_")) end
      end
      for i = 0, 255 do
        if (i < 64 or i >= 192) and memory[i] ~= 77 then print("beyond", name) memory[i] = 77 end
      end
    end
    print("done")
    """
    assert run(tmp_path, body.replace("NAMES", " ".join(names()))) == ["done"]
