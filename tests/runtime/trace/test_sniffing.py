"""The trace point of the log hears all that is logged, whatever the configuration says.  Manual: DTrace, Logging."""

from ctypes import string_at

from tracing import heard

from runtime import log


def test_a_disabled_stream_is_heard_with_its_place() -> None:
    quiet = log.stream_find("debug/quiet")
    assert not quiet.enabled
    with heard("log") as told:
        assert quiet.enabled and not quiet.writes
        quiet.log("one\n")
        quiet.log("two\n", file="main.lua", line=7)
    assert not quiet.enabled
    quiet.log("three\n")
    (_, facility, file, line, message), second = told
    assert (facility, file, message) == (b"debug/quiet", "test_sniffing.py", b"one\n")
    assert line > 0
    assert second == ("log", b"debug/quiet", "main.lua", 7, b"two\n")


def test_what_is_heard_is_written_as_ever() -> None:
    loud = log.new_stream("loud", type="memory", path="10,1000")
    off = log.new_stream("off", type="memory", path="10,1000")
    off.set_flags(0)
    leads = log.new_stream("leads")
    leads.add_outlet(loud)
    leads.add_outlet(off)
    with heard("log") as told:
        leads.log("a line\n")
        off.log("nothing\n")
    assert [message for *_, message in told] == [b"a line\n", b"nothing\n"]
    assert isinstance(loud.ctx, log.Memory) and isinstance(off.ctx, log.Memory)
    assert [line for _, _, line in loud.ctx.entries()] == [b"a line\n"]
    assert list(off.ctx.entries()) == []


def test_streams_made_and_changed_meanwhile_are_heard() -> None:
    with heard("log") as told:
        made = log.stream_find("made/meanwhile")
        alone = log.stream_find("alone")
        for each in (made, alone):
            assert each.enabled
            each.set_flags(0)
            assert each.enabled
            each.log(each.name)
        log.init()
        assert log.debug.enabled
    assert [facility for _, facility, *_ in told] == [b"made/meanwhile", b"alone"]
    assert not log.debug.enabled


def test_nobody_counts_or_watches_what_is_only_heard() -> None:
    seen: list[bytes] = []
    quiet = log.stream_find("debug/quiet")
    quiet.set_stats(True)
    before = log.watch_lines(seen.append)
    try:
        with heard("log"):
            quiet.log("one\n")
    finally:
        log.watch_lines(before)
    assert (quiet.lines, seen) == (0, [])


def test_the_table_tells_lua() -> None:
    quiet, loud = log.stream_find("debug/quiet"), log.stream_find("error/loud")

    def byte(stream: log.LogStream) -> int:
        return string_at(log.enabled_address() + stream.slot, 1)[0]

    assert (byte(quiet), byte(loud)) == (0, 1)
    with heard("log"):
        assert (byte(quiet), byte(loud)) == (2, 3)
    assert (byte(quiet), byte(loud)) == (0, 1)


def test_a_bare_stream_is_not_bare_while_it_is_heard() -> None:
    access = log.new_stream("some/access", type="memory", path="10,1000")
    assert access.is_bare
    with heard("log"):
        assert not access.is_bare  # or several lines would be heard as one
    assert access.is_bare
