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
    (re.compile(rb"(concurrency: |min/max: )\d+/\d+|(total jobs: |avg_wait_ms: |avg_run_ms: )[0-9.]+"), rb"\1\2N"),
    (re.compile(rb"(inflight: )[01]\b"), rb"\1N"),  # a job of the stack's own may be under way
    (re.compile(rb"(eventer_t allocations: )\d+"), rb"\1N"),
]

SHELVES = b"shelf[1]: apples\nshelf[2]: bread\ntill: closed\n"
"""Elements that hold text, which the recorded one does not list."""


OWN_TEST = (
    b"help conf",
    b"help show",
    b"write terminal",
    b"show rest",
    b"show lua",
    b"show eventer debug timers",
    b"show eventer debug sockets",
    b"sho ev d t",
    b"show mtev debug coreclocks full",
    b"show log",
    b"mtev zipkin a b c",
    b"mtev zipkin 0 100 100",
    b"log details stderr",
)


def instead(sent: bytes, expected: bytes, before: bytes) -> bytes | None:
    """What ours is to show for *sent* where *expected* was recorded; None: anything.  *before* is the prompt."""
    line = sent.rstrip(b"\r\n\0")
    if line.startswith(OWN_TEST) or line == b"show eventer debug jobq":
        return None
    echo, _, shown = expected.partition(b"\r\n")
    newline = b"\r\n" if b"\r\n" in shown else b"\n"
    shown = shown.replace(newline, b"\n")
    if line == b"ls" and before.endswith(b"mtev(conf:/shop)# "):
        shown = shown.replace(b"@name: corner\n", b"@name: corner\n" + SHELVES)
    elif line == b"ls shop":
        below = b"".join(b"shop/" + each for each in SHELVES.splitlines(keepends=True))
        shown = shown.replace(b"shop/@name: corner\n", b"shop/@name: corner\n" + below)
    elif line == b"ls ..":  # names cut at the left, as recorded, are of no use
        names = (b"eventer", b"logs", b"modules", b"listeners", b"rest", b"shop")
        sections = b"".join(b"../%b\n" % each for each in names)
        shown = b"== Section Settings ==\n../@lockfile: LOCK\n== Subsections ==\n" + sections + before
    else:
        return expected
    return echo + b"\r\n" + shown.replace(b"\n", newline)


def masked(data: bytes) -> bytes:
    for mask, replacement in MASKS:
        data = mask.sub(replacement, data)
    return data


def replay(program: Program, port: int, name: str) -> None:
    client = program.client(port)
    steps = recorded(name)
    prompt = b""
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
            plain = instead(sent, data, prompt)
            end = data.splitlines()[-1] if data.endswith(b"# ") else b""
            if plain is None:
                client.until(end)
            else:
                wanted = masked(plain)
                got = client.while_not(lambda so_far, wanted=wanted: masked(so_far) == wanted)
                if masked(got) != wanted:
                    failures.append(f"{sent!r}\n  wanted {wanted!r}\n  got    {masked(got)!r}")
            prompt = end or prompt
        elif direction == "closed":
            if not client.closed:
                assert client.quiet(10) == b"" and client.closed, name
        elif direction == "process-exit":
            assert program.process.wait(20) == int(data)
    assert not failures, "\n".join(failures)


CHANGING = ["plain-restart", "plain-shutdown", "plain-log", "plain-log-filter", "plain-configure", "telnet-configure"]
PLAIN = ["help-words", "lf", "crlf", "eof", "exit", "show"]
TELNET = ["help-words", "cr", "crnul", "empty", "eof", "lf", "mtev", "negotiation", "split", "show"]


@pytest.mark.parametrize("name", CHANGING)
def test_a_session_that_changes_the_server_is_shown_as_recorded(program: Program, name: str) -> None:
    replay(program, program.telnet if name.startswith("telnet") else program.plain, name)


@pytest.mark.parametrize("name", PLAIN)
def test_a_session_on_a_plain_console_is_shown_as_recorded(shared: Program, name: str) -> None:
    replay(shared, shared.plain, f"plain-{name}")


@pytest.mark.parametrize("name", TELNET)
def test_a_session_on_a_telnet_console_is_shown_as_recorded(shared: Program, name: str) -> None:
    replay(shared, shared.telnet, f"telnet-{name}")


def test_a_console_prints_a_log_that_another_writes_to_and_leaves_it_when_it_closes(program: Program) -> None:
    first, second = program.client(), program.client()
    for each in (first, second):
        each.until(b"example1# ")
    first.ask("log enable demo")
    first.ask("log connect demo")
    assert second.ask("log to demo from b") == "logged.\n"
    first.until(b"from b\n")
    assert '"name": "console\\/' in second.ask("log details demo")
    first.send(b"\x04")
    assert first.until(b"nothing") == b"^D\b\b\n"
    assert second.ask("log details demo").endswith('"outlets": [ { "name": "internal" } ] }\n')
