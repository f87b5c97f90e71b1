"""Consoles of the running program: what differs from the recorded sessions on purpose, and bad clients."""

import json
import os
import pty
import select
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from serving import received
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

from .conftest import Client, Program

LUA = b"# "


def console(program: Program) -> Client:
    client = program.client()
    client.until(b"example1# ")
    return client


def typed(client: Client, line: str, end: bytes) -> str:
    client.send(line.encode() + b"\r")
    got = client.until(end).decode()
    return got.removeprefix(line + "\r\n").removesuffix(end.decode())


def lua(client: Client) -> bytes:
    """Enter the Lua line; returns its prompt."""
    client.send(b"lua_general\r")
    return client.until(b")# ").splitlines()[-1]


def test_values_of_expressions_are_shown_calls_that_suspend_are_waited_for_lines_make_a_chunk(shared: Program) -> None:
    client = console(shared)
    prompt = lua(client)
    assert prompt.startswith(b"lua_general(0/0x")
    for line, shown in (
        ("1+1", "2\n"),
        ("= 1+1", "2\n"),
        ("return 1, nil, 'x'", "1\tnil\tx\n"),
        ("print('a', nil, 3)", "a\tnil\t3\n"),
        ("{1, 2, {k = 'v'}}", '{ 1, 2, { k = "v" } }\n'),
        ("mtev.sleep(0.05) return 'slept'", "slept\n"),
        ("x = 5", ""),
        ("x", "5\n"),
        ('error("boom")', '[string "error("boom")"]:1: boom\n'),
        ("error({code = 1})", "{ code = 1 }\n"),
        ("nosuchfunc()", "[string \"nosuchfunc()\"]:1: attempt to call global 'nosuchfunc' (a nil value)\n"),
        ("1 +* 2", "[string \"1 +* 2\"]:1: unexpected symbol near '1'\n"),
        ("", ""),
    ):
        assert typed(client, line, prompt) == shown
    client.send(b"for i = 1, 2 do\r")
    client.until(b">> ")
    client.send(b"print(i)\r")
    client.until(b">> ")
    assert typed(client, "end", prompt) == "1\n2\n"
    client.send(b"for i = 1, 2 do\r")
    client.until(b">> ")
    client.send(b"\x03")
    assert client.until(prompt) == b"^C\r\n" + prompt
    for newline in (b"\n", b"\r\n"):  # as of a file that is piped in
        client.send(newline.join([b"for i = 1, 2 do", b"print(i, 'piped')", b"end", b"7 * 7", b""]))
        answer = client.until(b"49\n" + prompt + b"\r\n" + prompt)
        assert b"1\tpiped\n2\tpiped\n" in answer
    client.send(b"mtev.sleep(1000)\r\x03")
    assert client.until(prompt).endswith(b"^C\r\n" + prompt)
    assert typed(client, "?", prompt) == "\t\n\texit\n"
    assert typed(client, "exit", b"example1# ") == ""
    assert typed(client, "lua_general x", prompt).startswith("'x' is no number of a thread\n")


def test_bad_arguments_are_told_and_change_nothing(shared: Program) -> None:
    client = console(shared)
    for line, shown in (
        ("log connect demo - and(", "failed to attach, bad filter?\n"),
        ("log connect demo demo", "log 'demo': outlet 'demo' would make a cycle: demo -> demo\n"),
        ("show log internal many", "'many' is no number of lines\n"),
        ("mtev zipkin a b c", "'a' is no percentage\n"),
        ("mtev jobq default_queue max many", "'many' is no number of threads\n"),
        ("hang nowhere 1", "no such event pool\n"),
        ("crash x", "'x' is no number of a thread\n"),
        ("mtev intern x stats", "Pool x doesn't exist\n"),
        ("help show log", "Help for 'show log':\nshow log NAME [23]: the last of a memory log\n"),
        ("help nothing", "Help for 'nothing':\ncommand not understood.\n"),
    ):
        assert shown in client.ask(line), line
    assert '"outlets": [ { "name": "internal" } ]' in client.ask("log details demo")


def test_what_is_on_the_loops_is_shown_with_lua_in_it(shared: Program) -> None:
    client = console(shared)
    assert " -> mtev_console(0x" in client.ask("show eventer debug sockets")
    timers = client.ask("show eventer debug timers")
    assert " -> lua/sleep(0x" in timers
    assert all(each.startswith("  [") and " fires: " in each for each in timers.splitlines())
    assert "GET [/eventer/] ^sockets\\.json$\n\tHANDLER: runtime.ops._eventer.sockets\n" in client.ask("show rest")
    shown = client.ask("show lua")
    assert shown.startswith("== Thread ")
    assert "\n\nlua_general(state:0x" in shown
    assert "idle.lua:" in shown and "\t\t=[C]:field(sleep)\n" in shown
    assert client.ask("show log internal 1").startswith("[")
    assert client.ask("write terminal").startswith('<?xml version="1.0" encoding="utf8" standalone="yes"?>\n<example1 ')


def test_a_coroutine_is_cancelled_by_its_address(program: Program) -> None:
    client = console(program)
    prompt = lua(client)
    typed(client, "mtev.coroutine_spawn(function() mtev.waitfor('nobody') end)", prompt)
    typed(client, "exit", b"example1# ")
    blocks = client.ask("show lua").split("\n\n")
    address = next(each.split("state:")[1].split(",")[0] for each in blocks if "waitfor" in each)
    assert client.ask(f"mtev lua cancel {address}") == ""
    assert "waitfor" not in client.ask("show lua")


def test_keys_are_understood_ctrl_c_drops_the_line(shared: Program) -> None:
    client = console(shared)
    client.send(b"sho\t")
    assert client.until(b"show ") == b"show "
    client.send(b"ve\t\r")
    assert b"feature:\thttp_" in client.until(b"example1# ")
    client.send(b"log details de\x03")
    assert client.until(b"# ") == b"log details de^C\r\nexample1# "
    client.send(b"\x03\x10")
    assert client.until(b"show version") == b"show version"
    client.send(b"\x15show conf /ex\tsho\ttil\t\r")
    assert client.until(b"example1# ").endswith(b"== 1: /example1/shop/till ==\nclosed\nexample1# ")
    client.send(b"show log int\t1\r")
    assert b"show log internal 1\r\n" in client.until(b"example1# ")


def test_a_line_of_a_megabyte_binary_and_half_closed_sockets_harm_nobody_else(shared: Program) -> None:
    other = console(shared)
    for data in (b"x" * (1 << 20), os.urandom(1 << 18).replace(b"\x04", b""), b"\x1b[" * 10000, b"\xff\xfb" * 10000):
        for port in (shared.plain, shared.telnet):
            with socket.create_connection(("127.0.0.1", port), 20) as bad:
                bad.setblocking(False)
                view = memoryview(data)
                deadline = time.monotonic() + 30
                while view and time.monotonic() < deadline:
                    readable, writable, _ = select.select([bad], [bad], [], 5)
                    try:
                        if readable and not bad.recv(1 << 16):
                            break
                        if writable:
                            view = view[bad.send(view[: 1 << 14]) :]
                    except ConnectionError:
                        break
                assert other.ask("log to demo still here") == "logged.\n"
    got = half_closed(shared, b"show eventer debug sockets\rlog to demo last\r")
    assert b"-> mtev_console" in got and b"logged.\n" in got
    assert "mtev_console" in other.ask("show eventer debug sockets")


def half_closed(program: Program, said: bytes) -> bytes:
    """What comes for *said* to a client that says no more."""
    with socket.create_connection(("127.0.0.1", program.plain), 30) as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        return received(client)


def cpu(program: Program) -> float:
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_half_closed_client_waits_for_its_answer_and_costs_nothing_meanwhile(program: Program) -> None:
    console(program)
    before = cpu(program)
    got = half_closed(program, b"lua_general\rmtev.sleep(2) return 'after all'\r")
    assert b"\r\nafter all\n" in got
    assert cpu(program) - before < 1.0


def test_a_client_that_does_not_read_is_not_read_from_and_loses_lines_of_logs(program: Program) -> None:
    other = console(program)
    other.ask("log enable demo")
    with socket.create_connection(("127.0.0.1", program.plain), 20) as deaf:
        deaf.sendall(b"log connect demo\rapply N 1..60000 show version\r")
        assert other.ask("log to demo meanwhile") == "logged.\n"
        for _ in range(3):
            other.send(b"apply N 1..30000 log to demo " + b"x" * 40 + b"{N}\r")
            other.until(b"example1# ", 60)
        assert other.ask("log to demo end") == "logged.\n"
        resident = int(Path(f"/proc/{program.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        assert resident < 200 << 20
        name = next(each for each in other.ask("log details demo").split('"') if each.startswith("console"))
        deaf.settimeout(30)
        seen = b""
        while b"lines of logs lost" not in seen[-(1 << 20) :]:
            other.ask("log to demo more")
            seen += deaf.recv(1 << 20)
        assert name


def test_the_websocket_takes_words_and_gives_text_logs_and_completions(shared: Program) -> None:
    sock = socket.create_connection(("127.0.0.1", shared.web), 20)
    wire = WSConnection(ConnectionType.CLIENT)
    sock.sendall(wire.send(Request(host="a", target="/mtev/console", subprotocols=["mtev_console"])))
    said: list[object] = []
    accepted: list[str | None] = []

    def say(document: object) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        sock.sendall(wire.send(TextMessage(text)))

    def hear(count: int) -> list[object]:
        while len(said) < count or not accepted:
            wire.receive_data(sock.recv(1 << 16))
            for event in wire.events():
                if isinstance(event, AcceptConnection):
                    accepted.append(event.subprotocol)
                elif isinstance(event, TextMessage):
                    said.append(json.loads(event.data))
        found, said[:] = said[:count], said[count:]
        return found

    assert hear(0) == [] and accepted == ["mtev_console"]
    say({})
    say({"id": 1, "command": ["log", "to", "demo", "two words"]})
    assert hear(1) == [{"cmdid": "0", "text": "logged.\n"}]
    say({"id": "7", "command": ["sho"], "complete": True})
    assert hear(1) == [{"id": "7", "completion": ["show"]}]
    say("{")
    assert hear(1) == [{"id": "0", "error": "could not parse json"}]
    say([])
    assert hear(1) == [{"id": "0", "error": "expected json object"}]
    say({"id": 3, "command": "show"})
    assert hear(1) == [{"id": "3", "error": "command not array of strings"}]
    say({"command": ["log", "connect", "error"]})
    say({"command": ["log", "to", "error", "seen"]})
    first, second = hear(2)
    assert isinstance(first, dict) and first["id"] == 0 and first["log"]["message"] == "seen\n"
    assert second == {"cmdid": "0", "text": "logged.\n"}
    sock.shutdown(socket.SHUT_RDWR)
    sock.close()


@pytest.mark.skipif(not (shutil.which("expect") and shutil.which("telnet")), reason="no expect, no telnet")
def test_debians_telnet_goes_through_completion_history_lua_and_a_log(program: Program) -> None:
    script = r"""
    set timeout 20
    proc want {what} {
      global spawn_id
      expect {
        -ex $what {}
        timeout { puts "NOT SEEN: $what"; exit 3 }
        eof { puts "ENDED BEFORE: $what"; exit 4 }
      }
    }
    spawn telnet 127.0.0.1 PORT
    want "example1# "
    send "sho\t"
    want "show "
    send "ver\t\r"
    want "feature:"
    want "example1# "
    send "\020"
    want "show version"
    send "\r"
    want "feature:"
    want "example1# "
    send "lua_general\r"
    want ")# "
    send "6 * 7\r"
    want "42"
    want ")# "
    send "exit\r"
    want "example1# "
    send "log enable demo\r"
    want "example1# "
    send "log connect demo\r"
    want "example1# "
    send "log to demo seen by telnet\r"
    want "\nseen by telnet"
    want "logged."
    want "example1# "
    send "\004"
    expect { eof {} timeout { puts "NOT CLOSED"; exit 5 } }
    """.replace("PORT", str(program.telnet))
    done = subprocess.run(
        ["expect", "-c", textwrap.dedent(script)], stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")


MAIN = """\
module(..., package.seeall)
function main()
  mtev.sleep(tonumber(arg[#arg]))
  os.exit(7)
end
"""


def test_lines_that_are_piped_into_the_program_are_run_without_prompt_and_echo(tmp_path: Path) -> None:
    (tmp_path / "main.lua").write_text(MAIN)
    command = [sys.executable, "-m", "luamtev", "-i", "main.lua", "100"]
    lines = b"log to error x\n\nlua_general\n1+1\nfor i=1,2 do\nprint(i)\nend\nexit\nshutdown"
    done = subprocess.run(command, cwd=tmp_path, input=lines, capture_output=True, timeout=60)
    assert done.stdout == b"logged.\n2\n1\n2\n"
    assert done.returncode == 2
    command[-1] = "0.5"
    done = subprocess.run(command, cwd=tmp_path, input=b"mtev rdtsc\n", capture_output=True, timeout=60)
    assert done.stdout.endswith(b"incomplete command.\n")
    assert done.returncode == 7  # the end of the lines is not the end of the program


def test_on_a_terminal_lines_are_edited_and_the_terminal_is_left_as_it_was(tmp_path: Path) -> None:
    import termios

    (tmp_path / "main.lua").write_text(MAIN)
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [sys.executable, "-m", "luamtev", "-i", "main.lua", "100"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TERM": "xterm"},
    )

    def until(end: bytes) -> bytes:
        got = b""
        while not got.endswith(end):
            assert select.select([ours], [], [], 30)[0], got
            got += os.read(ours, 4096)
        return got

    try:
        until(b"cli# ")
        os.write(ours, b"sho\t")
        assert until(b"show ") == b"show "
        os.write(ours, b"\x15")
        assert until(b"\x1b[K") == b"\x1b[6G\x1b[K"
        os.write(ours, b"nosuch\r")
        assert until(b"cli# ") == b"nosuch\r\r\nNo such command: 'nosuch'\r\ncli# "
        os.write(ours, b"shutdown\r")
        assert process.wait(30) == 2
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
