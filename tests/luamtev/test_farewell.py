"""mtev.stopping: coroutines hear that the process is to end, and end what they do."""

import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from launching import free_port
from waiting import until
from webprogram import Web, secure_listener

Program = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    started: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: str, before: str = "") -> "subprocess.Popen[str]":
        (tmp_path / "main.lua").write_text(source)
        run = f"{before}\nimport sys\nfrom luamtev.cli import main\nsys.exit(main(sys.argv[1:]))"
        process = subprocess.Popen(
            [sys.executable, "-c", run, *arguments, "main.lua"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for each in started:
        each.kill()
        each.communicate()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None and process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()  # communicate passes over what was read along with "up"
    return process.wait(60), out, err


WAITS = """
function main()
  mtev.coroutine_spawn(function()
    mtev.coroutine_spawn(function() mtev.sleep(0) print("up") end)
    print("told", mtev.stopping(%s), mtev.stopping(), mtev.stopping(1))
    mtev.sleep(0.05)
    print("written", mtev.writefile("farewell", "goodbye"))
  end)
end
"""


@pytest.mark.parametrize("timeout", ["math.huge", "100"])
def test_who_waits_is_told_and_comes_to_its_end(program: Program, tmp_path: Path, timeout: str) -> None:
    status, out, _ = ended(program(WAITS % timeout))
    assert (status, out) == (0, "told\ttrue\ttrue\ttrue\nwritten\ttrue\n")
    assert (tmp_path / "farewell").read_text() == "goodbye"


def test_who_waited_before_is_let_end_too(program: Program) -> None:
    source = """
    function main()
      mtev.coroutine_spawn(function()
        print(mtev.stopping(0) or mtev.stopping(0.01) or "up")
        while not mtev.stopping() do mtev.sleep(0.01) end
        mtev.sleep(0.05)
        print("over")
      end)
    end
    """
    assert ended(program(source))[:2] == (0, "over\n")


def test_who_failed_or_was_cancelled_keeps_nobody(
    program: Program, luamtev: Callable[..., Any], tmp_path: Path
) -> None:
    source = """
    function main()
      mtev.enable_log("error", false)
      local co
      mtev.coroutine_spawn(function() co = coroutine.running() mtev.stopping(100) end)
      mtev.coroutine_spawn(function() mtev.stopping(0.01) error("on purpose") end)
      mtev.cancel_coro(co)
      mtev.sleep(0.1)
      print("up")
    end
    """
    generated = luamtev("-T", "main.lua", source=source).stdout
    (tmp_path / "calm.conf").write_bytes(generated.replace(b"<tragedy_terminates>true", b"<tragedy_terminates>false"))
    process = program(source, "-c", "calm.conf", before="from luamtev.api import stopping; stopping.TIMEOUT = 1000")
    assert ended(process)[0] == 0


def test_patience_ends(program: Program) -> None:
    source = """
    function main()
      mtev.coroutine_spawn(function() mtev.sleep(0) print("up") end) -- once the other waits
      mtev.stopping(100)
      mtev.sleep(1000)
    end
    """
    status, _, err = ended(program(source, before="from luamtev.api import stopping; stopping.TIMEOUT = 0.1"))
    assert status == 0
    assert "1 coroutines that heard of it go on; ending without them" in err


def test_a_handler_that_waits_answers_before_the_end(web: Web) -> None:
    source = """
    module(..., package.seeall)
    function handler(rest)
      local http = rest:http()
      http:write("waiting ")
      http:flush()
      http:write(tostring(mtev.stopping(100)))
      http:flush_end()
    end
    """
    web.start(source)
    with socket.create_connection(("127.0.0.1", web.port), 20) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        seen = b""
        while b"waiting " not in seen:
            seen += client.recv(4096)
        assert web.process is not None
        web.process.send_signal(signal.SIGTERM)
        while piece := client.recv(4096):
            seen += piece
    assert seen.endswith(b"waiting true")


BUSY = """
module(..., package.seeall)
function handler(rest)
  local http = rest:http()
  if http:request():uri() == "/busy" then
    io.open(package.path:match("^(.-)/%?%.lua") .. "/begun", "w"):close()
    local till = mtev.gettimeofday() + 0.5
    repeat until mtev.gettimeofday() > till
  end
  http:write("answered")
  http:flush_end()
end
"""


@pytest.mark.parametrize("engine", ["lua", "python"])
@pytest.mark.parametrize("secure", [False, True])
def test_who_waits_to_be_let_in_at_the_end_is_served(web: Web, engine: str, secure: bool, tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("localhost", "localhost")
    port, web.engine = free_port(), engine
    web.start(BUSY, listeners=secure_listener(port, issued))
    assert web.process is not None
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    def asked(client: socket.socket) -> bytes:
        if secure:
            client = trusting.wrap_socket(client)
        with client:
            client.sendall(b"GET /any HTTP/1.1\r\nHost: here\r\n\r\n")
            return b"".join(iter(lambda: client.recv(4096), b""))

    with ThreadPoolExecutor(26) as others, socket.create_connection(("127.0.0.1", web.port), 20) as busy:
        idle = [socket.create_connection(("127.0.0.1", web.port), 20) for _ in range(3)]
        for client in idle:
            client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert client.recv(4096).endswith(b"answered")
        busy.sendall(b"GET /busy HTTP/1.0\r\n\r\n")
        until((tmp_path / "begun").exists)
        address = ("127.0.0.1", port if secure else web.port)
        eager = [others.submit(asked, socket.create_connection(address, 20)) for _ in range(20)]
        late = [socket.create_connection(address, 20) for _ in range(3)]
        for client in idle:
            client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        web.process.send_signal(signal.SIGTERM)
        assert busy.recv(4096).endswith(b"answered")
        answers = [*map(asked, late)]
        answers += [each.result(20) for each in eager]
        for client in idle:
            answers.append(b"".join(iter(lambda client=client: client.recv(4096), b"")))  # type: ignore[misc]
            client.close()
    assert [each.count(b"answered") for each in answers] == [1] * 26
    assert web.process.wait(20) == 0


def test_who_never_asks_keeps_nobody(web: Web) -> None:
    web.start(BUSY)
    assert web.process is not None
    with socket.create_connection(("127.0.0.1", web.port), 20) as client:
        assert web.text("/") == "answered"
        web.process.send_signal(signal.SIGTERM)
        assert client.recv(10) == b""
        assert web.process.wait(8) == 0


def test_a_timeout_is_a_number(luamtev: Callable[..., Any]) -> None:
    done = luamtev("main.lua", source='function main() print(pcall(mtev.stopping, "soon")) os.exit(0) end')
    assert b"bad argument to 'stopping' (number of seconds expected, got soon)" in done.stdout


SLOW = """
module(..., package.seeall)
function handler(rest)
  local http = rest:http()
  local name = http:request():uri():match("%w+$")
  if name == "flushed" then
    http:write("begun ")
    http:flush()
  end
  if name == "slow" or name == "flushed" then
    mtev.shared_set("begun", "yes")
    mtev.stopping(100)
    mtev.sleep(0.05)
  end
  http:write(name == "begun" and mtev.shared_get("begun") or name .. " is answered")
  http:flush_end()
end
"""


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
@pytest.mark.parametrize("first", ["slow", "flushed"])
@pytest.mark.parametrize("behind", [[b"one"], [b"one", b"two", b"three"], [b"metrics", b"four"]])
def test_what_waits_behind_a_handler_at_the_end_is_answered(web: Web, first: str, behind: list[bytes]) -> None:
    web.start(SLOW)
    assert web.process is not None
    asked = [first.encode(), *behind]
    with socket.create_connection(("127.0.0.1", web.port), 60) as client:
        client.sendall(b"".join(b"GET /%b HTTP/1.1\r\nHost: here\r\n\r\n" % each for each in asked))
        until(lambda: web.text("/begun") == "yes")
        web.process.send_signal(signal.SIGTERM)
        answers = b"".join(iter(lambda: client.recv(65536), b"")).split(b"HTTP/1.1 ")[1:]
    assert [each[:3] for each in answers] == [b"200"] * len(asked)
    assert all(name + b" is answered" in each for name, each in zip(asked, answers, strict=True) if name != b"metrics")
    assert [b"\r\nConnection: close\r\n" in each for each in answers] == [False] * len(behind) + [True]
    assert web.process.wait(60) == 0


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_what_comes_while_a_handler_waits_is_answered_at_the_end(web: Web) -> None:
    web.start(SLOW)
    assert web.process is not None
    with socket.create_connection(("127.0.0.1", web.port), 60) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n")
        until(lambda: web.text("/begun") == "yes")
        client.sendall(b"GET /later HTTP/1.1\r\nHost: here\r\n\r\n")
        assert web.text("/other") == "other is answered"  # what was sent before that has come
        web.process.send_signal(signal.SIGTERM)
        answers = b"".join(iter(lambda: client.recv(65536), b"")).split(b"HTTP/1.1 ")[1:]
    assert [each.rpartition(b"\r\n")[2] for each in answers] == [b"slow is answered", b"later is answered"]
    assert b"\r\nConnection: close\r\n" in answers[1]
    assert web.process.wait(60) == 0
