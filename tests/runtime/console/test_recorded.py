"""Sessions recorded from libmtev 2.7.11, typed into ours: what is shown is the same, byte by byte.

Pointers, threads, times, ports, paths and versions are masked.  Where ours differs on purpose, INSTEAD says how.
"""

import re

import pytest

from .conftest import Program, recorded

_LIST = rb"(?:  ==> '[a-z_]+'\r?\n)+"
MASKS = [
    (re.compile(_LIST + rb"arguments expected\r?\n"), b""),  # an empty line prints nothing here
    (re.compile(rb"0x[0-9a-f]{4,}"), b"PTR"),
    (re.compile(rb"\(nil\)"), b"PTR"),
    (re.compile(rb"t@default:[0-9a-f]+"), b"t@T"),
    (re.compile(rb"== Thread [0-9a-f]+"), b"== Thread T"),
    (re.compile(rb"console(\\?/)\d+ *"), rb"console\1N"),
    (re.compile(rb"((?:build|run) (?:nodename|release|version|machine):\t|version:\t|_gzip:|_lz4f:)[^\r\n]*"), rb"\1X"),
    (re.compile(rb"\[20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\]"), b"[TIME]"),
    (re.compile(rb"\[t@\d+/e:default/0,[^\]]*\]"), b"[t@T]"),
    (re.compile(rb"\x5c?/[^\s\"]*access\.log"), b"ACCESS"),
    (re.compile(rb"@lockfile: [^\r\n]*"), b"@lockfile: LOCK"),
    (re.compile(rb"@port: \d+"), b"@port: P"),
    (re.compile(rb"(concurrency: )\d+/|(total jobs: |avg_wait_ms: |avg_run_ms: )[0-9.]+"), rb"\1\2N"),
    (re.compile(rb"(eventer_t allocations: )\d+"), rb"\1N"),
]

SHELVES = b"shelf[1]: apples\nshelf[2]: bread\ntill: closed\n"
"""Elements that hold text, which the recorded one does not list."""


def instead(sent: bytes, expected: bytes, before: bytes) -> bytes | None:
    """What ours is to show for *sent* where *expected* was recorded; None: anything.  *before* is the prompt."""
    line = sent.rstrip(b"\r\n\0")
    in_shop = before.endswith(b"mtev(conf:/shop)# ")
    if line == b"ls" and in_shop:
        return expected.replace(b"@name: corner\n", b"@name: corner\n" + SHELVES)
    if line == b"ls shop":
        return expected.replace(
            b"shop/@name: corner\n",
            b"shop/@name: corner\n" + SHELVES.replace(b"\n", b"\nshop/", 2).replace(b"shelf[1]", b"shop/shelf[1]", 1),
        )
    if line == b"ls ..":  # names cut at the left, as recorded, are of no use
        sections = b"".join(
            b"../%b\n" % each for each in (b"eventer", b"logs", b"modules", b"listeners", b"rest", b"shop")
        )
        return b"ls ..\r\n== Section Settings ==\n../@lockfile: LOCK\n== Subsections ==\n" + sections + before
    if line.startswith((b"help conf", b"help show", b"write terminal", b"show rest")):
        return None  # each has a test of its own
    if line.startswith((b"show lua", b"show eventer debug timers", b"show eventer debug sockets", b"sho ev d t")):
        return None
    if line in (b"show eventer debug jobq", b"show mtev debug coreclocks full", b"show log", b"mtev zipkin a b c"):
        return None
    if line == b"mtev zipkin 0 100 100":
        return None
    if line == b"log details stderr" or line.startswith(b"show log internal"):
        return None
    return expected


def masked(data: bytes) -> bytes:
    for mask, replacement in MASKS:
        data = mask.sub(replacement, data)
    return data


def replay(program: Program, port: int, name: str) -> None:
    client = program.client(port)
    steps = recorded(name)
    prompt = b""
    newline = b"\r\n" if port == program.telnet else b"\n"
    failures = []
    for at, (direction, data) in enumerate(steps):
        if direction == ">":
            try:
                client.send(data)
            except ConnectionError:
                assert client.closed
            following = steps[at + 1][0] if at + 1 < len(steps) else ">"
            if following == ">":
                more = client.quiet(0.1)
                assert more == b"", (data, more)
        elif direction == "<":
            sent = steps[at - 1][1] if at else b""
            plain = instead(sent, data.replace(b"\r\n", b"\n").replace(b"\n", newline) if False else data, prompt)
            if newline == b"\r\n" and plain is not None and plain != data:
                plain = plain.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            end = data.splitlines()[-1] if data.endswith(b"# ") else b""
            if plain is None:
                client.until(end)
            else:
                wanted = masked(plain)
                got = b""
                while masked(got) != wanted:
                    more = client.quiet(0.3) if got else client.quiet(2.0)
                    got += more
                    if not more or client.closed:
                        break
                if masked(got) != wanted:
                    failures.append(f"{sent!r}\n  wanted {wanted!r}\n  got    {masked(got)!r}")
            prompt = end or prompt
        elif direction == "closed":
            if not client.closed:
                assert client.quiet(10) == b"" and client.closed, name
        elif direction == "process-exit":
            assert program.process.wait(20) == int(data)
    assert not failures, "\n".join(failures)


PLAIN = ["help-words", "lf", "crlf", "eof", "exit", "restart", "shutdown", "log-filter", "log", "configure", "show"]
TELNET = ["help-words", "configure", "cr", "crnul", "empty", "eof", "lf", "mtev", "negotiation", "split", "show"]


@pytest.mark.parametrize("name", PLAIN)
def test_a_session_recorded_on_a_plain_console_is_shown_the_same(program: Program, name: str) -> None:
    replay(program, program.plain, f"plain-{name}")


@pytest.mark.parametrize("name", TELNET)
def test_a_session_recorded_on_a_telnet_console_is_shown_the_same(program: Program, name: str) -> None:
    replay(program, program.telnet, f"telnet-{name}")
