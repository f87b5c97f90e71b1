"""Resolving names off the loop: a slow resolver holds up nobody, whoever stops waiting is not asked for."""

import socket
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from hearing import hear, wait_for
from hypothesis import given
from hypothesis import strategies as st

from luamtev import bridge
from luamtev.api import addresses, jobs
from runtime import eventer

THREADS = jobs.CONCURRENCY["resolver"]


class SlowResolver:
    """Stands for the system's: answers when it is told to."""

    def __init__(self) -> None:
        self.asked: SimpleQueue[bytes] = SimpleQueue()
        self._go = threading.Semaphore(0)

    def resolve(self, host: bytes) -> tuple[bytes | None, bytes]:
        self.asked.put(host)
        self._go.acquire(timeout=60)
        return b"192.0.2.7", b"inet"

    def answer(self, count: int = 1) -> None:
        self._go.release(count)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowResolver]:
    resolver = SlowResolver()
    monkeypatch.setattr(addresses, "resolve", resolver.resolve)
    yield resolver
    resolver.answer(1000)


def test_a_slow_resolver_does_not_hold_up_the_loop(lua: Any, slow: SlowResolver) -> None:
    lua.start(
        """
        function main()
          mtev.coroutine_spawn(function()
            print(mtev.getaddrinfo("slow.example"))
            os.exit(2)
          end)
          for i = 1, 10 do mtev.sleep(0) end
          os.exit(1)
        end
        """
    )
    assert lua.status() == 1
    assert slow.asked.get(timeout=30) == b"slow.example"
    assert lua.printed() == ""
    slow.answer()
    assert lua.status() == 2
    assert lua.printed() == "192.0.2.7\tinet\n"


def test_names_beyond_the_threads_wait_in_line_and_cancelled_ones_are_not_asked(lua: Any, slow: SlowResolver) -> None:
    lua.start(
        """
        function main()
          local cancelled, left = {}, 30
          for i = 1, 40 do
            mtev.coroutine_spawn(function()
              if i > 30 then cancelled[#cancelled + 1] = coroutine.running() end
              assert(mtev.getaddrinfo(i > 30 and "unwanted" or "wanted") == "192.0.2.7" and i <= 30)
              left = left - 1
              if left == 0 then os.exit(0) end
            end)
          end
          for _, each in ipairs(cancelled) do mtev.cancel_coro(each) end
          os.exit(1)
        end
        """
    )
    assert lua.status() == 1
    for _ in range(THREADS):
        assert slow.asked.get(timeout=30) == b"wanted"
    assert slow.asked.empty()
    slow.answer(40)
    assert lua.status() == 0, lua.errors()
    assert [slow.asked.get(timeout=30) for _ in range(30 - THREADS)] == [b"wanted"] * (30 - THREADS)
    assert slow.asked.empty()
    assert not lua.on_thread(lambda: lua.states[0].tickets)


def test_a_state_may_be_closed_while_a_name_is_resolved(lua: Any, slow: SlowResolver) -> None:
    lua.start("function main() mtev.getaddrinfo('slow.example') os.exit(0) end")
    slow.asked.get(timeout=30)
    lua.close()
    slow.answer()
    assert lua("function main() print(mtev.getaddrinfo('127.0.0.1')) os.exit(0) end") == "127.0.0.1\tinet\n"


def test_a_resolver_that_breaks_is_an_answer(lua: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_host: bytes) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(addresses, "resolve", broken)
    text = lua("function main() print(mtev.getaddrinfo('some.example')) os.exit(0) end")
    assert text == "false\tgetaddrinfo(some.example) failed: getaddrinfo: broken\n"
    assert "getaddrinfo failed: ValueError('broken')" in lua.errors()


def test_threads_are_used_again(lua: Any) -> None:
    lua(
        """
        function main()
          for i = 1, 300 do assert(mtev.getaddrinfo("localhost") == "127.0.0.1") end
          os.exit(0)
        end
        """
    )
    figures = eventer.jobq_figures()["resolver"]
    assert figures["total_jobs"] == 300
    assert figures["threads"] <= figures["concurrency"] == THREADS


def test_no_thread_is_an_error_where_the_name_was_asked(lua: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda _self: (_ for _ in ()).throw(RuntimeError("no thread")))
    text = lua("function main() print(pcall(mtev.getaddrinfo, 'some.example')) os.exit(0) end")
    assert text == "false\tEventerError: job queue resolver has no thread: no thread\n"


def test_operators_set_and_see_the_queue_and_its_slow_jobs(lua: Any, slow: SlowResolver) -> None:
    heard = hear("debug/eventer/callbacks/jobq/resolver")
    eventer.jobq_create("resolver", 1)  # as jobq_resolver does
    lua.start(
        """
        function main()
          for i = 1, 2 do mtev.coroutine_spawn(function() mtev.getaddrinfo("slow.example") end) end
          os.exit(1)
        end
        """
    )
    assert lua.status() == 1
    slow.asked.get(timeout=30)
    figures = eventer.jobq_figures()["resolver"]
    assert (figures["inflight"], figures["backlog"], figures["concurrency"]) == (1, 1, 1)
    slow.answer(2)
    wait_for(heard, r"^callback getaddrinfo took [\d.]+ ms$")


def found(*answers: tuple[int, str]) -> Callable[..., Any]:
    return lambda *_, **__: [(family, socket.SOCK_STREAM, 6, "", (address, 0)) for family, address in answers]


def test_an_ipv4_address_comes_before_an_ipv6_one(monkeypatch: pytest.MonkeyPatch) -> None:
    both = found((socket.AF_INET6, "2001:db8::1"), (socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "192.0.2.2"))
    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert addresses.resolve(b"x") == (b"192.0.2.1", b"inet")
    monkeypatch.setattr(socket, "getaddrinfo", found((socket.AF_INET6, "2001:db8::1")))
    assert addresses.resolve(b"x") == (b"2001:db8::1", b"inet6")
    monkeypatch.setattr(socket, "getaddrinfo", found())
    assert addresses.resolve(b"x") == (None, b"no address")


BENCH = b"""
local library, numbers = ...
mtev = {}
local same = function(f) return f end
local libraries = { arguments = { check_bytes = same }, ["mtev/sockaddr"] = { family_number = numbers } }
local home = {
  border = { route_source = same, resolve = same }, kernel = {}, checked = same,
  need = function(name) return libraries[name] or {} end,
}
assert(loadstring(library))(home)
return function(text)
  local ok, family, address = mtev.inet_pton(text)
  if not ok then return nil end
  return family, tostring(address)
end
"""


@pytest.fixture(scope="module")
def parse() -> Callable[[bytes], Any]:
    from importlib import resources

    library = (resources.files("luamtev") / "lua" / "mtev" / "addresses.lua").read_bytes()
    border = bridge.Border()
    numbers = {"inet": int(socket.AF_INET), "inet6": int(socket.AF_INET6)}
    parsed: Callable[[bytes], Any] = border.load(BENCH, "bench")(library, border.table(numbers))
    return parsed


@given(address=st.ip_addresses())
def test_every_address_is_read(parse: Any, address: Any) -> None:
    assert parse(str(address).encode()) == (b"inet" if address.version == 4 else b"inet6", address.packed)


@given(text=st.text("0123456789abcdef.:%/ \0x", max_size=20).map(str.encode) | st.binary(max_size=20))
def test_what_is_an_address_is_what_the_system_says(parse: Any, text: bytes) -> None:
    expected = None
    for family, name in ((socket.AF_INET, b"inet"), (socket.AF_INET6, b"inet6")):
        try:
            expected = name, socket.inet_pton(family, text.decode("latin-1"))
        except (OSError, ValueError):
            pass
    assert parse(text) == expected
