"""Trace points for Lua: heard by its functions, and passed by its own sockets, logs and web handlers."""

import http.client
import re
import subprocess
from typing import Any

import pytest
from tracing import heard, tracer
from waiting import until
from webprogram import Web

from runtime import trace

EACH = ["request-start", "request-finish", "response-start", "response-finish"]

HELLO = """
    function handler(rest)
      local http = rest:http()
      http:status(200, "OK")
      http:write("Hello World")
      http:flush_end()
    end
"""
COLLECT = """
    function main()
      local file = io.open("told", "w")
      for _, point in ipairs(mtev.trace.points()) do
        if point.name:find("^http") then
          mtev.trace.subscribe(point.name, function(fd, session, line)
            file:write(("%s %d %.0f %s\\n"):format(point.name, fd, session, (line or ""):gsub("\\n", "")))
            file:flush()
          end)
        end
      end
    end
"""


def test_points_have_names_and_names_of_arguments(lua: Any) -> None:
    printed = lua("""
        function main()
          for _, point in ipairs(mtev.trace.points()) do
            print(point.name, table.concat(point.arguments, ","))
          end
          os.exit(0)
        end
    """)
    assert printed.splitlines() == [
        f"{name}\\t{','.join(argument for argument, _ in arguments)}".replace("\\t", "\t")
        for name, arguments in trace.POINTS.items()
    ]


def test_a_subscriber_hears_in_a_coroutine_of_its_own_until_it_cancels(lua: Any) -> None:
    printed = lua("""
        function main()
          local subscription
          subscription = mtev.trace.subscribe("log", function(facility, file, line, message)
            if facility ~= "debug/quiet" then return end
            mtev.sleep(0.001) -- it may wait
            print(facility, file, line > 0, message)
            if message == "two\\n" then subscription:cancel() end
          end)
          mtev.log("debug/quiet", "one")
          mtev.log("debug/quiet", "two")
          mtev.sleep(0.05)
          mtev.log("debug/quiet", "three")
          mtev.sleep(0.05)
          print(subscription:lost(), tostring(subscription))
          os.exit(0)
        end
    """)
    lines = printed.splitlines()
    assert [line.split("\\t")[-1] for line in lines if line] != []
    assert "debug/quiet" in lines[0] and "program0.lua\ttrue\tone" in lines[0]
    assert any("\ttwo" in line for line in lines)
    assert "three" not in printed
    assert lines[-1] == "0\tmtev.trace.subscription"


def test_a_subscriber_that_logs_does_not_hear_itself(lua: Any) -> None:
    printed = lua("""
        function main()
          local count = 0
          mtev.trace.subscribe("log", function(facility, _, _, message)
            if facility == "debug/quiet" then
              count = count + 1
              mtev.log("debug/quiet", "heard %s", message)
            end
          end)
          mtev.log("debug/quiet", "one\\n")
          mtev.sleep(0.1)
          print(count)
          os.exit(0)
        end
    """)
    assert printed == "1\n"


def test_what_too_many_wait_for_is_lost_and_counted(lua: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luamtev.api.trace.MOST", 3)
    printed = lua("""
        function main()
          local count = 0
          local subscription = mtev.trace.subscribe("log", function(facility)
            if facility == "debug/quiet" then count = count + 1 end
          end)
          for i = 1, 5 do mtev.log("debug/quiet", "line") end
          mtev.sleep(0.1)
          subscription:cancel()
          print(count, subscription:lost())
          os.exit(0)
        end
    """)
    assert printed == "3\t2\n"


def test_what_a_subscriber_raises_is_logged_like_any_coroutine_s(lua: Any) -> None:
    lua(
        """
        function main()
          mtev.trace.subscribe("log", function(facility)
            if facility == "debug/quiet" then error("never mind") end
          end)
          mtev.log("debug/quiet", "line")
          mtev.sleep(0.1)
          os.exit(0)
        end
    """,
        tragedy_terminates=False,
    )
    assert "never mind" in lua.errors()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("mtev.trace.subscribe('http-open', print)", "there is no trace point 'http-open' (there are: "),
        ("mtev.trace.subscribe(nil, print)", "subscribe"),
        ("mtev.trace.subscribe('log')", "bad argument #2 to 'subscribe' (function expected, got nil)"),
        ("mtev.trace.subscribe('log', print).cancel()", "must be called as method"),
    ],
)
def test_what_cannot_be_is_named(lua: Any, call: str, says: str) -> None:
    printed = lua(f"function main() print(pcall(function() {call} end)) os.exit(0) end")
    assert printed.startswith("false\t") and says in printed


def test_a_state_that_ends_hears_no_more(lua: Any) -> None:
    lua("function main() mtev.trace.subscribe('http-close', print) os.exit(0) end")
    assert trace.point("http-close").heard[0]
    lua.on_thread(lua.states[0].close)
    assert not trace.point("http-close").heard[0]


def test_lua_s_sockets_tell(lua: Any) -> None:
    with heard(*(name for name in trace.POINTS if name.startswith("eventer-") and "callback" not in name)) as told:
        printed = lua("""
            function main()
              local server = mtev.socket("127.0.0.1")
              server:bind("127.0.0.1", 0)
              server:listen(5)
              local _, port = server:sock_name()
              mtev.coroutine_spawn(function()
                local client = mtev.socket("127.0.0.1")
                client:connect("127.0.0.1", port)
                client:write("hello\\n")
                client:read("\\n")
                client:close()
              end)
              local accepted = server:accept()
              print(accepted.fd ~= nil)
              accepted:write(accepted:read("\\n"):upper())
              accepted:close()
              mtev.sleep(0.05)
              os.exit(0)
            end
        """)
        del printed
    accepted = [each for each in told if each[0] == "eventer-accept-return" and each[-1] > 0]
    assert len(accepted) == 1
    fd = accepted[0][-1]
    returned = [each for each in told if each[1] == fd and each[0].endswith("return")]
    assert [(each[0], each[2], each[-1]) for each in returned if each[-1] >= 0] == [
        ("eventer-read-return", b"hello\n", 6),
        ("eventer-write-return", b"HELLO\n", 6),
        ("eventer-close-return", 0, 0),
    ]
    assert all(each[4] for each in returned if each[-1] < 0)  # what it waits for


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_handlers_are_traced_whoever_serves_them(web: Web) -> None:
    web.start(HELLO, main=COLLECT)
    assert web.text("/hello") == "Hello World"
    told = web.directory / "told"

    def answered() -> list[list[str]]:
        lines = [line.split(" ", 3) for line in told.read_text().splitlines()]
        (session,) = {each[2] for each in lines if each[0] == "http-log"} or {""}
        return [each for each in lines if each[2] == session]

    until(lambda: any(each[0] == "http-close" for each in answered()), told.read_text)
    assert [each[0].removeprefix("http-") for each in answered()] in (
        ["accept", *EACH, "log", "close"],
        ["accept", *EACH, "close", "log"],  # the log is written at the end of the turn
    )
    assert len({each[1] for each in answered()}) == 1
    assert any('"GET /hello HTTP/1.1" 200' in each[3] for each in answered())


def test_the_engine_serves_again_what_nobody_traces_any_more(web: Web) -> None:
    main = """
        function main() end
        local subscription
        function _G.mtev_xcall()
          if subscription then subscription:cancel() subscription = nil
          else subscription = mtev.trace.subscribe("http-request-start", function() end) end
          return subscription ~= nil
        end
    """
    web.start(HELLO, main=main, web="<mount_get>web:GET:/lua/</mount_get>")

    def handed_over() -> int:
        found = re.findall(
            r'^mtev_http_engine_handed_over\w*\{reason="watched"\} (\d+)$', web.text("/metrics"), re.MULTILINE
        )
        return int(found[0])

    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)

    def ask() -> None:
        connection.request("GET", "/lua/hello")
        assert connection.getresponse().read() == b"Hello World"

    ask()
    assert handed_over() == 0
    assert "true" in web.text("/module/lua/xcall.json")
    ask()
    assert handed_over() == 1
    assert "false" in web.text("/module/lua/xcall.json")
    ask()
    ask()
    assert handed_over() == 1
    connection.close()


def test_bpftrace_sees_requests_of_a_running_program(web: Web) -> None:
    bpftrace = tracer()
    web.start(HELLO)
    assert web.process is not None
    program = 'usdt:*:libmtev:http__log { printf("%d %s", arg0, str(arg2)); exit(); }'
    command = [bpftrace, "-p", str(web.process.pid), "-e", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tracing:
        while tracing.poll() is None:
            assert web.text("/hello") == "Hello World"
        assert tracing.stdout is not None
        said = tracing.stdout.read()
    assert re.search(r"^\d+ 127\.0\.0\.1 - - \[", said, re.MULTILINE)
    assert web.stop() == 0
