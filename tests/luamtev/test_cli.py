"""The program luamtev, run as a user runs it."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

Program = Callable[..., "subprocess.CompletedProcess[bytes]"]


def test_a_module_runs_and_os_exit_gives_the_status(luamtev: Program) -> None:
    done = luamtev(
        "main.lua",
        source="""
        module(..., package.seeall)
        function main()
          print("one", nil, true, 2)
          os.exit(7)
        end
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"one\tnil\ttrue\t2\n", b"")


@pytest.mark.parametrize(
    ("argument", "status"), [("", 0), ("true", 0), ("false", 1), ("0", 0), ("255", 255), ("-1", 255), ("256", 0)]
)
def test_exit_statuses(luamtev: Program, argument: str, status: int) -> None:
    assert luamtev("main.lua", source=f"function main() os.exit({argument}) end").returncode == status


def test_os_exit_flushes_what_lua_and_the_logs_still_hold(luamtev: Program) -> None:
    done = luamtev(
        "main.lua",
        source="""
        function main()
          io.write("buffered by io.write; ")
          io.stdout:setvbuf("full")
          io.write("even now")
          mtev.log("error", "logged")
          os.exit(0)
        end
        """,
    )
    assert done.stdout == b"buffered by io.write; even now"
    assert done.stderr == b"logged\n"


def test_print_and_io_write_keep_their_order(luamtev: Program) -> None:
    done = luamtev(
        "main.lua",
        source="""
        function main()
          io.write("one ")
          print("two")
          io.write("three ")
          mtev.log("stdout", "four ")
          io.write("five")
          os.exit(0)
        end
        """,
    )
    assert done.stdout == b"one two\nthree four five"


def test_arguments_are_the_scripts_own_even_with_dashes(luamtev: Program) -> None:
    done = luamtev(
        "-n",
        "1",
        "main.lua",
        "-h",
        "--long",
        b"\xff raw",
        source="""
        function main()
          print(#arg, arg[0], arg[1], arg[2], arg[3], arg[4] == "\\255 raw")
          os.exit(0)
        end
        """,
    )
    assert done.stdout == b"4\tnil\tmain.lua\t-h\t--long\ttrue\n"


def test_the_environment_is_a_table(luamtev: Program) -> None:
    done = luamtev(
        "main.lua",
        source="function main() print(type(ENV), ENV.LUAMTEV_TEST, ENV.NEVER_SET) os.exit(0) end",
        LUAMTEV_TEST="a=b",
    )
    assert done.stdout == b"table\ta=b\tnil\n"


def test_globals_of_the_contract_are_there(luamtev: Program) -> None:
    done = luamtev(
        "main.lua",
        source="""
        function main()
          for _, name in ipairs { "arg", "ENV", "mtev", "ffi", "bit" } do assert(type(_G[name]) == "table", name) end
          for _, name in ipairs { "print", "printf", "errorf" } do assert(type(_G[name]) == "function", name) end
          for _, name in ipairs { "S_IFREG", "S_IFDIR", "S_IFLNK", "S_IFMT", "O_RDONLY", "O_WRONLY", "O_CREAT" } do
            assert(type(_G[name]) == "number", name)
          end
          print(MTEV_HOOK_CONTINUE, MTEV_HOOK_DONE, MTEV_HOOK_ABORT, S_IFDIR, O_RDWR, mtev.print == print)
          printf("%s-%d", "formatted", 5)
          print((select(2, pcall(errorf, "bad %s", "thing")):match("bad thing$")))
          os.exit(0)
        end
        """,
    )
    assert done.stdout == b"0\t1\t2\t16384\t2\ttrue\nformatted-5\nbad thing\n"


def test_lua_sees_no_python(luamtev: Program) -> None:
    done = luamtev(
        "main.lua",
        source="function main() print(python, package.loaded.python, pcall(require, 'python')) os.exit(0) end",
    )
    assert done.stdout.startswith(b"nil\tnil\tfalse\t")


def test_another_function_can_be_chosen(luamtev: Program) -> None:
    source = "module(..., package.seeall) function main() os.exit(1) end function other() os.exit(4) end"
    assert luamtev("-e", "other", "main.lua", source=source).returncode == 4


@pytest.mark.parametrize(
    "source",
    [
        "local M = {} function M.main() os.exit(5) end return M",
        "module(..., package.seeall) function main() os.exit(5) end",
        "function main() os.exit(5) end",
        "#!/usr/bin/env luamtev\nfunction main() os.exit(5) end",
    ],
)
def test_the_function_is_found_where_modules_put_it(luamtev: Program, source: str) -> None:
    assert luamtev("main.lua", source=source).returncode == 5


def test_the_chunk_receives_its_module_name_and_can_be_required_by_path(luamtev: Program, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file.lua").write_text("return { name = (...) }")
    done = luamtev(
        "main.lua",
        source="""
        local name = ...
        function main()
          print(name)
          local file = require("dir/file.lua")
          print(file.name, file == require("dir/file.lua"), require("dir.file").name)
          os.exit(0)
        end
        """,
    )
    assert done.stdout.decode().splitlines() == [str(tmp_path / "main.lua"), "dir/file.lua\ttrue\tdir.file"]


def test_a_program_that_is_started_by_a_link_finds_what_lies_beside_its_file(luamtev: Program, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "beside.lua").write_text("return 'beside'")
    (tmp_path / "real" / "tool.lua").write_text(
        """local here = (...):match("^(.*/)")
        function main() print(require(here .. "beside.lua"), arg[1]) os.exit(0) end"""
    )
    (tmp_path / "link.lua").symlink_to(tmp_path / "real" / "tool.lua")
    assert luamtev("link.lua").stdout == b"beside\tlink.lua\n"


def test_the_process_lives_on_after_main_returns(luamtev: Program) -> None:
    done = luamtev(
        "main.lua",
        source="""
        function main()
          mtev.coroutine_spawn(function() mtev.sleep(0.05) print("later") os.exit(3) end)
          print("main returns")
        end
        """,
    )
    assert (done.returncode, done.stdout) == (3, b"main returns\nlater\n")


FAILURES = {
    "a runtime error in main": ("function main() local x = nil; x.y = 1 end", b"attempt to index local 'x'"),
    "an error in a coroutine": (
        "function main() mtev.coroutine_spawn(function() mtev.sleep(0) error('in coroutine') end) end",
        b"in coroutine",
    ),
    "an error object": ("function main() error({}) end", b"table:"),
    "an error object that cannot be printed": (
        "function main() error(setmetatable({}, { __tostring = function() error('no') end })) end",
        b"error object is a table value",
    ),
    "a syntax error": ("function main( end", b"main.lua:1:"),
    "no such function": ("module(..., package.seeall)", b"has no function 'main'"),
    "an error while loading": ("error('while loading')", b"while loading"),
    "a module that is missing": ("require 'no.such.module' function main() end", b"module 'no.such.module' not found"),
    "a syntax error in bytes": (b"function main() return \xff\xfe( end", b"main.lua:1:"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_nobody_caught_is_a_tragedy(luamtev: Program, name: str) -> None:
    source, message = FAILURES[name]
    done = luamtev("main.lua", source=source)
    assert done.returncode == 255
    assert message in done.stderr
    assert b"stack traceback:" in done.stderr
    assert done.stderr.endswith(b"Unrecoverable run-time error. Terminating.\n")


@pytest.mark.parametrize(
    ("script", "why"),
    [("no/such.lua", b"No such file or directory"), ("such.lua", b"No such file"), (".", b"Is a dir")],
)
def test_a_file_that_cannot_be_read_is_named_in_one_line(luamtev: Program, script: str, why: bytes) -> None:
    done = luamtev(script)
    assert done.returncode == 255
    assert done.stderr.startswith(b"luamtev: %b cannot be read: %b" % (script.encode(), why))
    assert len(done.stderr.splitlines()) == 1


def test_version_and_help_and_their_long_forms(luamtev: Program) -> None:
    version = luamtev("--version")
    assert version.returncode == 0 and re.fullmatch(rb"luamtev \d+\.\d+\S*\n", version.stdout)
    assert luamtev("-V").stdout == version.stdout
    assert luamtev("--help").stdout == luamtev("-h").stdout
    for option in (b"--check", b"--version", b"--stop", b"--lua-path PATH"):
        assert option in luamtev("--help").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_made_of_the_same_table(luamtev: Program, shell: str) -> None:
    done = luamtev("--completion", shell)
    assert done.returncode == 0 and b"lua-path" in done.stdout and b"check" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, check=True, timeout=60)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")
def test_bash_completes_options(luamtev: Program) -> None:
    script = luamtev("--completion", "bash").stdout.decode()
    script += "COMP_WORDS=(luamtev --ch)\nCOMP_CWORD=1\n_luamtev\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["--check"]


def test_the_manual_page_has_every_option(luamtev: Program) -> None:
    page = luamtev("--man").stdout.decode().replace("\\-", "-")
    assert page.startswith(".TH LUAMTEV 1")
    for option in ("--conf", "--check", "--lua-cpath", "-V"):
        assert f"\\fB{option}\\fR" in page


CHECKED = """\
<cli lockfile="{lock}">
  <logs>
    <console_output><outlet name="stderr"/><log name="error"/></console_output>
    <log name="x" type="file" path="{nowhere}/x.log"/>
    <log name="y" type="file" path="y.log" typ="z"/>
  </logs>
  <modules>
    <generic image="lua_mtev" name="lua_general"><config><lua_function>main</lua_function></config></generic>
    <generic image="lua_mtev" name="lua_web"><config><mount_a>web:GTE</mount_a></config></generic>
    <generic image="nosuch" name="nosuch"/>
  </modules>
  <listeners>
    <listener type="http_rest_api" address="127.0.0.1" port="{taken}"/>
    <listener type="http_rest_api" address="127.0.0.1" port="0" ssl="on"><sslconfig>
      <certificate_file>/nowhere.crt</certificate_file></sslconfig></listener>
  </listeners>
  <rest><acl><rule type="alow"/></acl></rest>
</cli>
"""


def test_check_names_every_mistake_with_its_line(luamtev: Program, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = CHECKED.format(taken=taken.getsockname()[1], lock=tmp_path / "lock", nowhere=nowhere)
        (tmp_path / "c.xml").write_text(text)
        done = luamtev("-c", "c.xml", "-l", "nosuchlog", "--check", "main.lua", source="function main() end")
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b"")
    for line, what in (
        (4, f"{nowhere} does not exist"),
        (5, "there is no attribute typ, expected type"),
        (9, "lua_web"),
        (10, "nosuch"),
        (13, "ddress already in use"),
        (15, "/nowhere.crt"),
        (17, "alow"),
    ):
        assert re.search(rf"^luamtev: c\.xml:{line}: .*{re.escape(what)}", said, re.MULTILINE), (line, said)
    assert "-l nosuchlog" in said and len(said.splitlines()) == 8
    assert not (tmp_path / "lock").exists()


def test_check_finds_nothing_wrong_and_starts_nothing(luamtev: Program, tmp_path: Path) -> None:
    text = CHECKED.format(taken=0, lock=tmp_path / "lock", nowhere=tmp_path).replace('typ="z"', "")
    text = re.sub(r"<generic image=\"nosuch.*?/>|<generic.*lua_web.*\n|<listener[^>]*ssl=(?s:.*?)</listener>", "", text)
    (tmp_path / "c.xml").write_text(text.replace("alow", "allow"))
    done = luamtev("-c", "c.xml", "-t", "main.lua", source="error('it ran')")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"c.xml: nothing wrong\n", b"")
    assert not (tmp_path / "x.log").exists()


def test_a_configuration_may_name_the_file_and_says_what_it_overrules(luamtev: Program, tmp_path: Path) -> None:
    (tmp_path / "named.lua").write_text("module(..., package.seeall) function main() print('named') os.exit(4) end")
    generated = luamtev("-T", "named.lua").stdout
    (tmp_path / "c.xml").write_bytes(generated)
    done = luamtev("-n", "2", "-c", "c.xml")
    assert (done.returncode, done.stdout) == (4, b"named\n")
    assert done.stderr == b"luamtev: -n means nothing with -c: concurrency in c.xml holds\n"
    unspecified = luamtev("-T").stdout
    assert b"<lua_module>unspecified.lua</lua_module>" in unspecified
    for nothing in (re.sub(rb"<lua_module>.*</lua_module>", b"", generated), unspecified):
        (tmp_path / "c.xml").write_bytes(nothing)
        done = luamtev("-c", "c.xml")
        assert done.returncode == 2
        assert re.match(rb"luamtev: c\.xml:\d+: no file given, and lua_general has", done.stderr)
    assert luamtev("-c", "c.xml", "named.lua").returncode == 4


def test_a_traceback_names_the_functions_on_the_way(luamtev: Program) -> None:
    done = luamtev(
        "main.lua",
        source="""
        local function innermost() error("deep") end
        local function middle() innermost() return 1 end
        function main() mtev.sleep(0) middle() return 1 end
        """,
    )
    for name in (b"'innermost'", b"'middle'", b"main.lua:4"):
        assert name in done.stderr


def test_without_tragedy_terminates_an_error_is_logged_and_the_process_goes_on(
    luamtev: Program, tmp_path: Path
) -> None:
    configuration = luamtev("-T", "main.lua").stdout.decode().replace(">true</trag", ">false</trag")
    (tmp_path / "c.xml").write_text(configuration)
    done = luamtev(
        "-c",
        "c.xml",
        "main.lua",
        source="""
        function main()
          mtev.coroutine_spawn(function() error("first") end)
          mtev.coroutine_spawn(function() mtev.sleep(0.01) print("alive") os.exit(0) end)
          error("second")
        end
        """,
    )
    assert (done.returncode, done.stdout) == (0, b"alive\n")
    assert b"first" in done.stderr
    assert b"second" in done.stderr
    assert b"Unrecoverable" not in done.stderr


def test_no_file_is_said_in_one_line_with_status_2(luamtev: Program) -> None:
    done = luamtev()
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"luamtev: no file given; luamtev --help lists the options\n"


def test_help_is_usage_on_stdout_and_status_0(luamtev: Program) -> None:
    done = luamtev("-h")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"usage: luamtev")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-x"], "there is no option -x"),
        (["--nosuch"], "there is no option --nosuch"),
        (["-n"], "-n needs a NUMBER"),
        (["--conf"], "--conf needs a FILE"),
        (["--check=yes", "f.lua"], "--check takes no value"),
        (["--completion", "csh"], "--completion: 'csh' is none of bash, zsh, fish"),
        (["-n", "1025", "f.lua"], "-n: '1025'"),
        (["-n", "many", "f.lua"], "-n: 'many'"),
    ],
)
def test_a_bad_command_line_is_named_with_status_2(luamtev: Program, arguments: list[str], named: str) -> None:
    done = luamtev(*arguments)
    assert done.returncode == 2
    assert named.encode() in done.stderr and len(done.stderr.splitlines()) == 1


def test_t_prints_the_generated_configuration(luamtev: Program, tmp_path: Path) -> None:
    done = luamtev("-n", "3", "-e", "go", "-L", "+a/?.lua", "-C", "b/?.so", "-M", "m", "-T", "dir/x.lua")
    assert (done.returncode, done.stderr) == (0, b"")
    root = etree.fromstring(done.stdout)
    assert root.tag == "cli"
    assert root.xpath("string(eventer/config/concurrency)") == "3"
    assert root.xpath("string(modules/@directory)") == "m"
    generic = root.xpath("modules/generic")[0]
    assert dict(generic.attrib) == {"image": "lua_mtev", "name": "lua_general"}
    assert {each.tag: each.text for each in generic.xpath("config/*")} == {
        "Cpreloads": None,
        "directory": "{package.path};a/?.lua",
        "cpath": "b/?.so",
        "lua_module": str(tmp_path / "dir/x.lua"),
        "lua_function": "go",
        "tragedy_terminates": "true",
    }
    assert root.xpath("string(logs/@dedup_seconds)") == "0"
    assert root.xpath("logs//log/@name") == ["error", "debug", "notice"]
    assert luamtev("-T").returncode == 0


def test_a_configuration_of_the_users_own_is_used_and_left_alone(luamtev: Program, tmp_path: Path) -> None:
    text = """<?xml version="1.0" encoding="utf8" standalone="yes"?>
<cli>
  <logs><log name="special" type="file" path="special.log"/></logs>
  <custom value="from the file"/>
  <modules><generic image="lua_mtev" name="lua_general">
    <config><lua_module>not this one</lua_module><lua_function>go</lua_function></config>
  </generic></modules>
</cli>
"""
    (tmp_path / "c.xml").write_text(text)
    done = luamtev(
        "-c",
        "c.xml",
        "main.lua",
        source="""
        function go()
          print(mtev.conf("/cli/custom/@value"), (mtev.conf("//lua_module"):match("[^/]*$")))
          mtev.log("special", "written\\n")
          os.exit(0)
        end
        """,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"from the file\tmain.lua\n"
    assert (tmp_path / "special.log").read_text() == "written\n"
    assert (tmp_path / "c.xml").read_text() == text


BAD_CONFIGURATIONS = {
    "not there": (None, "none.xml"),
    "broken": ("<cli>\n<logs>\n</cli>", "c.xml:3"),
    "empty": ("", "c.xml"),
    "another application's": ("<other/>", "cli"),
    "without lua_general": ("<cli/>", "lua_general"),
    "an unknown outlet": (
        '<cli><logs><log name="a"><outlet name="nobody"/></log></logs><modules><generic image="lua_mtev" '
        'name="lua_general"><config/></generic></modules></cli>',
        "nobody",
    ),
    "an unknown module": (
        '<cli><modules><generic image="lua_mtev" name="lua_general"><config><lua_function>f</lua_function></config>'
        '</generic><generic image="nothing" name="none"/></modules></cli>',
        "no module none in image nothing",
    ),
    "no function": (
        '<cli><modules><generic image="lua_mtev" name="lua_general"><config/></generic></modules></cli>',
        "lua_function is required",
    ),
    "a bad value": (
        '<cli><modules><generic image="lua_mtev" name="lua_general"><config><lua_function>f</lua_function>'
        "<gc_full>often</gc_full></config></generic></modules></cli>",
        "gc_full: 'often'",
    ),
    "a bad concurrency": (
        "<cli><eventer><config><concurrency>x</concurrency></config></eventer>"
        '<modules><generic image="lua_mtev" name="lua_general"><config/></generic></modules></cli>',
        "concurrency",
    ),
}


@pytest.mark.parametrize("name", BAD_CONFIGURATIONS)
def test_a_bad_configuration_ends_with_one_line_and_status_2(luamtev: Program, tmp_path: Path, name: str) -> None:
    text, named = BAD_CONFIGURATIONS[name]
    if text is not None:
        (tmp_path / "c.xml").write_text(text)
    done = luamtev("-c", "c.xml" if text is not None else "none.xml", "main.lua", source="function main() end")
    assert done.returncode == 2
    assert named in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def test_logs_are_enabled_by_name(luamtev: Program) -> None:
    source = """
        function main()
          mtev.log("debug", "to debug\\n") mtev.log("notice", "to notice\\n") mtev.log("debug/x", "below debug\\n")
          os.exit(0)
        end
    """
    assert luamtev("main.lua", source=source).stderr == b""
    assert luamtev("-l", "notice", "main.lua", source=source).stderr == b"to notice\n"
    lines = luamtev("-d", "-l", "notice", "main.lua", source=source).stderr.splitlines()
    own = [line for line in lines if line.startswith((b"to ", b"below "))]
    assert own == [b"to debug", b"to notice", b"below debug"]
    assert b"loop default: 1 threads" in lines, "the stack's own debugging is there too"


def test_lua_paths_are_searched(luamtev: Program, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.lua").write_text(f"return '{name}'")
    source = "function main() print(require('first'), (pcall(require, 'string'))) os.exit(0) end"
    assert luamtev("-L", "first/?.lua", "main.lua", source=source).stdout == b"first\ttrue\n"
    source = "function main() print(require('second')) print(package.path) os.exit(0) end"
    lines = luamtev("-L", "+second/?.lua", "main.lua", source=source).stdout.decode().splitlines()
    assert lines[0] == "second"
    assert lines[1].startswith("./?.lua;")
    assert lines[1].endswith(";second/?.lua")
    source = "function main() print(package.path) os.exit(0) end"
    assert luamtev("-L", "%s/a/?.lua;%s/b", "main.lua", source=source).stdout.decode() == f"{tmp_path}/a/?.lua;%s/b\n"
    assert luamtev("-L", "+%s/?.lua", "main.lua", source=source).stdout.decode().endswith(f";{tmp_path}/?.lua\n")


def test_threads_run_where_asked(luamtev: Program) -> None:
    source = """
        function main()
          local tid, index, name = mtev.thread_self()
          print(mtev.eventer_loop_concurrency(), index, name, tid == mtev.getpid(), tid > 0)
          os.exit(0)
        end
    """
    assert luamtev("-n", "3", "main.lua", source=source).stdout == b"3\t0\te:default/0\tfalse\ttrue\n"
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert luamtev("-n", "0", "main.lua", source=source).stdout.startswith(f"{processors}\t0\t".encode())


@pytest.mark.parametrize(("number", "name", "status"), [(signal.SIGTERM, "sigterm", 0), (signal.SIGINT, "sigint", 130)])
@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_ends_the_process(tmp_path: Path, number: int, name: str, status: int, busy: bool) -> None:
    work = "while true do mtev.sleep(0) end" if busy else "mtev.waitfor('never')"
    (tmp_path / "main.lua").write_text(f"function main() print('up') {work} end")
    command = [sys.executable, "-m", "luamtev", "main.lua"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(number)
        _out, err = process.communicate(timeout=60)
    assert err.decode() == f"[TERMINATE] received {name}, shutting down.\n"
    assert process.returncode == status


def test_user_and_group_are_taken_on(luamtev: Program) -> None:
    source = "function main() print(mtev.getuid(), mtev.geteuid(), mtev.getgid(), mtev.getegid()) os.exit(0) end"
    uid, gid = os.getuid(), os.getgid()
    done = luamtev("-u", str(uid), "-g", str(gid), "main.lua", source=source)
    assert done.stdout == f"{uid}\t{uid}\t{gid}\t{gid}\n".encode()
    for option, kind in (("-u", "user"), ("-g", "group")):
        done = luamtev(option, "no-such-name", "main.lua", source=source)
        assert (done.returncode, done.stderr) == (2, f"luamtev: unknown {kind} 'no-such-name'\n".encode())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_root_becomes_the_user_asked_for(luamtev: Program) -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as directory:  # where others may look, unlike tmp_path
        Path(directory).chmod(0o755)
        script = Path(directory, "main.lua")
        script.write_text("function main() print(mtev.getuid(), mtev.getegid()) os.exit(0) end")
        script.chmod(0o644)
        done = luamtev("-u", "nobody", "-g", str(nobody.pw_gid), str(script))
    assert (done.stdout, done.stderr) == (f"{nobody.pw_uid}\t{nobody.pw_gid}\n".encode(), b"")


def test_non_utf8_and_nul_bytes_pass_through_print_and_log(luamtev: Program) -> None:
    done = luamtev(
        "main.lua",
        source=r"""
        function main()
          print("a\0b\255\254c")
          mtev.log("error", "%s\n", "x\0y\253")
          local ok, message = pcall(mtev.conf_get_string, "/cli\255")
          print(ok, (message:gsub("[^%w ]", "")))
          print(pcall(mtev.conf_get_string, "/cli/x", "nul \0 in text"))
          os.exit(0)
        end
        """,
    )
    lines = done.stdout.split(b"\n")
    assert lines[0] == b"a\0b\xff\xfec"
    assert lines[1].startswith(b"false\tconfiguration is UTF8 text")
    assert lines[2] == b"false\tcannot set '/cli/x': XML cannot hold U+0000"
    assert done.stderr == b"x\0y\xfd\n"
    assert done.returncode == 0


def test_print_from_two_threads_never_tears_a_line(luamtev: Program, tmp_path: Path) -> None:
    configuration = luamtev("-n", "2", "-T", "main.lua").stdout.decode()
    (tmp_path / "c.xml").write_text(configuration.replace("<tragedy", "<concurrent>on</concurrent><tragedy"))
    done = luamtev(
        "-c",
        "c.xml",
        "main.lua",
        source="""
        function main()
          local _, index = mtev.thread_self()
          for i = 1, 5000 do print(index, i, ("x"):rep(50)) end
          if mtev.shared_seq("finished") == 1 then os.exit(0) end
        end
        """,
    )
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 10000
    for index in "01":
        mine = [line.split("\t") for line in lines if line.startswith(index)]
        assert [number for _, number, _ in mine] == [str(i) for i in range(1, 5001)]
        assert {text for _, _, text in mine} == {"x" * 50}


def test_a_reader_that_goes_away_does_not_kill_the_program(tmp_path: Path) -> None:
    (tmp_path / "main.lua").write_text("function main() for i = 1, 100000 do print(i) end os.exit(9) end")
    command = [sys.executable, "-m", "luamtev", "main.lua"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors: list[Any] = []
        reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))  # type: ignore[union-attr]
        reader.start()
        assert process.wait(timeout=60) == 9
        reader.join()
    assert len(errors[0].splitlines()) <= 1, "a broken pipe is reported once"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_program_started_without_standard_descriptors_still_ends_as_it_should(tmp_path: Path, closed: str) -> None:
    (tmp_path / "main.lua").write_text("function main() print('x') mtev.log('error', 'y') os.exit(6) end")
    command = f'"{sys.executable}" -m luamtev main.lua {closed}'
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, timeout=60).returncode == 6


def test_the_example_runs(luamtev: Program) -> None:
    example = Path(__file__).parents[2] / "examples" / "hello.lua"
    done = luamtev(str(example))
    assert done.returncode == 0
    assert done.stdout.startswith(b"hello from e:default/0")
    assert done.stdout.endswith(b"nobody answers: nil\n")
    assert done.stderr == b"this line went to the log stream error\n"


def test_log_lines_are_formatted_as_lua_does(luamtev: Program) -> None:
    done = luamtev(
        "main.lua",
        source="""
        function main()
          local object = setmetatable({}, { __tostring = function() return "an object" end })
          mtev.log("error", "%s %s %s %5.2f %d %q|", nil, true, object, 1 / 3, 7, "q")
          mtev.log("error/child/of/child", "100%%")
          print("%s is not a format for print", "%d")
          os.exit(0)
        end
        """,
    )
    assert done.stderr == b'nil true an object  0.33 7 "q"|\n100%\n'
    assert done.stdout == b"%s is not a format for print\t%d\n"


def test_the_debug_flag_shows_thread_and_place_of_the_lua_call(luamtev: Program, tmp_path: Path) -> None:
    generated = luamtev("-T", "main.lua").stdout.decode()
    flags = 'debug="on" facility="on"'
    (tmp_path / "c.xml").write_text(generated.replace('<log name="error"/>', f'<log name="error" {flags}/>'))
    done = luamtev(
        "-c",
        "c.xml",
        "main.lua",
        source="""
        function main()
          mtev.log("error/mine", "here\\n")
          mtev.printto("error/mine")
          print("and here")
          os.exit(0)
        end
        """,
    )
    first, second = done.stderr.decode().splitlines()
    pattern = r"\[error/mine\] \[t@\d+/e:default/0,(?:\.\.\.)?\S*main\.lua:%d\] %s"
    assert re.fullmatch(pattern % (3, "here"), first)
    assert re.fullmatch(pattern % (5, "and here"), second)
