"""Readiness of descriptors for coroutines, on epoll and on the hub's watchers alike."""

import sys
from typing import Any

import pytest

from luamtev import libraries

REACTORS = ["epoll", "hub"] if sys.platform == "linux" else ["hub"]

PRELUDE = """
local reactor = require("mtev.Probe").reactor
ffi.cdef [[
int pipe(int fds[2]); int close(int); int fcntl(int, int, ...);
intptr_t read(int, void *, size_t); intptr_t write(int, const void *, size_t);
int socketpair(int, int, int, int fds[2]);
]]
local C = ffi.C
local NONBLOCK = ffi.os == "OSX" and 4 or 0x800
local opened = {}
local function unblock(fds)
  for i = 0, 1 do C.fcntl(fds[i], 4, ffi.cast("int", NONBLOCK)) opened[fds[i]] = true end
  return fds[0], fds[1]
end
function pipe() local fds = ffi.new("int[2]") assert(C.pipe(fds) == 0) return unblock(fds) end
function pair() local fds = ffi.new("int[2]") assert(C.socketpair(1, 1, 0, fds) == 0) return unblock(fds) end
function send(fd, s) return tonumber(C.write(fd, s, #s)) end
local buffer = ffi.new("char[65536]")
function receive(fd, timeout)
  while true do
    local n = tonumber(C.read(fd, buffer, 65536))
    if n >= 0 then return ffi.string(buffer, n) end
    local ready = reactor.wait(fd, reactor.READ, timeout)
    if not ready then return ready end
  end
end
function close(fd) reactor.forget(fd) C.close(fd) opened[fd] = nil end
function close_all() for fd in pairs(opened) do close(fd) end end
"""


@pytest.fixture(params=REACTORS)
def reactor(request: pytest.FixtureRequest, lua: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    known = libraries.sources() | {"mtev/Probe": b"return (...)"}
    monkeypatch.setattr(libraries, "sources", lambda: known)
    return lambda body: lua(PRELUDE + f"function main() {body} close_all() os.exit(0) end", reactor=request.param)


def test_a_coroutine_wakes_when_its_descriptor_is_readable(reactor: Any) -> None:
    text = reactor(
        """
        local r, w = pipe()
        mtev.coroutine_spawn(function() print(receive(r), receive(r)) mtev.notify("read") end)
        mtev.sleep(0.001) send(w, "one")
        mtev.sleep(0.001) send(w, "two")
        mtev.waitfor("read", 10)
        """
    )
    assert text == "one\ttwo\n"


def test_data_that_was_there_before_the_wait_is_not_missed(reactor: Any) -> None:
    text = reactor(
        """
        local r, w = pipe()
        send(w, "early")
        print(receive(r, 5))
        send(w, "x")
        mtev.sleep(0.005) -- the loop sees it ready while nobody waits
        print(receive(r, 5))
        """
    )
    assert text == "early\nx\n"


def test_a_wait_ends_when_its_time_is_up(reactor: Any) -> None:
    text = reactor(
        """
        local r, w = pipe()
        print(select("#", receive(r, 0.005)), receive(r, 0.005))
        send(w, "later")
        print(receive(r, 5))
        """
    )
    assert text == "1\tnil\nlater\n"


def test_forgetting_a_descriptor_wakes_whoever_waits_for_it(reactor: Any) -> None:
    text = reactor(
        """
        local r, w = pipe()
        mtev.coroutine_spawn(function() print(receive(r)) mtev.notify("woken") end)
        close(r)
        mtev.waitfor("woken", 10)
        local r2, w2 = pipe() -- the number is used again
        mtev.coroutine_spawn(function() print(receive(r2)) mtev.notify("again") end)
        send(w2, "reused")
        mtev.waitfor("again", 10)
        """
    )
    assert text == "false\nreused\n"


def test_a_peer_that_goes_away_wakes_the_reader(reactor: Any) -> None:
    text = reactor(
        """
        local a, b = pair()
        mtev.coroutine_spawn(function() print("[" .. receive(a) .. "]") mtev.notify("woken") end)
        mtev.sleep(0.001)
        close(b)
        mtev.waitfor("woken", 10)
        """
    )
    assert text == "[]\n"


def test_reading_and_writing_one_descriptor_wait_apart(reactor: Any) -> None:
    text = reactor(
        """
        local probe = require("mtev.Probe").reactor
        local a, b = pair()
        local chunk, sent = ("x"):rep(65536), 0
        repeat local n = send(a, chunk) if n > 0 then sent = sent + n end until n < 0
        mtev.coroutine_spawn(function()
          print(probe.wait(a, probe.WRITE, 10) == probe.WRITE)
          mtev.notify("writable")
        end)
        mtev.coroutine_spawn(function() print(receive(a)) mtev.notify("readable") end)
        mtev.sleep(0.001)
        send(b, "reply")
        mtev.waitfor("readable", 10)
        local got = 0
        while got < sent do got = got + #receive(b, 10) end
        mtev.waitfor("writable", 10)
        """
    )
    assert text == "reply\ntrue\n"


def test_two_coroutines_cannot_wait_for_the_same(reactor: Any) -> None:
    text = reactor(
        """
        local r = pipe()
        mtev.coroutine_spawn(function() receive(r) end)
        print(pcall(receive, r))
        close(r)
        """
    )
    assert text.startswith("false\t")
    assert "another coroutine waits for descriptor" in text


def test_a_bad_descriptor_is_an_error_that_names_it(reactor: Any) -> None:
    text = reactor(
        """
        local probe = require("mtev.Probe").reactor
        print(pcall(probe.wait, 54321, probe.READ, 1))
        """
    )
    assert text.startswith("false\t")
    assert "cannot wait for descriptor 54321" in text


def test_a_cancelled_coroutine_leaves_the_descriptor_to_others(reactor: Any) -> None:
    text = reactor(
        """
        local r, w = pipe()
        local co
        mtev.coroutine_spawn(function() co = coroutine.running() receive(r) end)
        mtev.cancel_coro(co)
        mtev.coroutine_spawn(function() print(receive(r, 5)) mtev.notify("read") end)
        send(w, "for the second")
        mtev.waitfor("read", 10)
        """
    )
    assert text == "for the second\n"


def test_many_descriptors_are_served(reactor: Any) -> None:
    text = reactor(
        """
        local pairs_, got = {}, 0
        for i = 1, 300 do
          local a, b = pair()
          pairs_[i] = b
          mtev.coroutine_spawn(function()
            local mine = 0
            while mine < 5 do mine = mine + #receive(a, 10) end
            got = got + mine
            if got == 1500 then mtev.notify("all") end
          end)
        end
        for turn = 1, 5 do
          for i = 1, 300 do send(pairs_[i], "x") end
          mtev.sleep(0.002)
        end
        mtev.waitfor("all", 10)
        print(got)
        """
    )
    assert text == "1500\n"


def test_a_busy_coroutine_does_not_starve_descriptors(reactor: Any) -> None:
    text = reactor(
        """
        local r, w = pipe()
        local turns, stop = 0, false
        mtev.coroutine_spawn(function() while not stop do mtev.sleep(0) turns = turns + 1 end end)
        mtev.coroutine_spawn(function() print(receive(r, 10)) stop = true mtev.notify("served") end)
        mtev.sleep(0.001)
        send(w, "served")
        mtev.waitfor("served", 10)
        """
    )
    assert text == "served\n"


def test_a_watch_begun_after_the_stream_ended_ends_at_once(reactor: Any) -> None:
    text = reactor(
        """
        local r, w = pair()
        mtev.coroutine_spawn(function() print(receive(r)) mtev.notify("first") end)
        mtev.sleep(0.001) send(w, "first") mtev.waitfor("first", 10)
        send(w, "last") close(w)
        mtev.sleep(0.01) -- the news of the end come while nobody waits
        print(receive(r, 10))
        reactor.drained(r) -- what came was less than was asked for, so there seems to be nothing more
        print(reactor.quiet[r] == true)
        print("<" .. receive(r, 10) .. ">")
        """
    )
    assert text == "first\nlast\nfalse\n<>\n"


def test_a_first_watch_of_a_stream_that_ended_already_ends_at_once(reactor: Any) -> None:
    text = reactor(
        """
        local r, w = pair()
        close(w)
        print(reactor.wait(r, reactor.READ, 10) == reactor.READ, "<" .. receive(r, 10) .. ">")
        local q, v = pair()
        close(v)
        print(reactor.wait(q, reactor.WRITE, 10) == reactor.WRITE)
        """
    )
    assert text == "true\t<>\ntrue\n"
