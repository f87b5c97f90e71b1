"""Jlogs: written by the C library and read here, written and read here, by several, and torn."""

import mmap
import multiprocessing
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from runtime import jlog
from runtime.jlog import Id, JlogError, Reader, Writer

DATA = Path(__file__).parents[2] / "data" / "jlog"
WHEN = 1_700_000_000_000_000_000


@pytest.fixture
def original(tmp_path: Path) -> Any:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(DATA / name, tmp_path / name))

    return copy


def read(path: Path, subscriber: str = "one") -> list[bytes]:
    return [each.data for each in Reader(path, subscriber)]


def test_what_the_c_library_wrote_is_read(original: Any) -> None:
    messages = list(Reader(original("plain"), "one"))
    assert [each.data for each in messages] == [b"line %d of the plain sample\n" % n for n in range(10)]
    assert [each.when for each in messages] == [WHEN + n * 1000 for n in range(10)]
    assert str(messages[0].id) == "00000000:00000001"


def test_what_the_c_library_compressed_is_read_and_added_to(original: Any) -> None:
    path = original("lz4")
    expected = [bytes([ord("a") + n]) * 200 + b"\n" for n in range(10)]
    assert read(path) == expected
    writer = Writer(path)
    writer.write(b"more" * 100, WHEN)
    writer.close()
    assert read(path, "two") == [*expected, b"more" * 100]


def test_segments_are_read_across_and_a_checkpoint_of_the_c_library_counts(original: Any) -> None:
    path = original("segments")
    everything = [b"message number %03d, long enough to roll segments now and then\n" % n for n in range(100)]
    assert read(path, "two") == everything
    place = jlog.subscribers(path)["one"]
    assert place.marker > 0
    rest = read(path)
    assert rest == everything[len(everything) - len(rest) :]
    assert 0 < len(rest) < 100


def test_an_index_like_that_of_the_c_library_is_left_beside_segments_that_are_read(original: Any) -> None:
    path = original("segments")
    wanted = (path / "00000000.idx").read_bytes()
    (path / "00000000.idx").unlink()
    read(path, "two")
    assert (path / "00000000.idx").read_bytes() == wanted
    assert (path / "00000006.idx").exists()
    assert not (path / "00000007.idx").exists(), "it is still written"


def test_our_bytes_are_those_of_the_c_library(original: Any, tmp_path: Path) -> None:
    for name, settings in (("plain", {}), ("segments", {"unit_limit": 1024})):
        theirs = original(name)
        with_all = Reader(theirs, "two")
        ours = tmp_path / f"our-{name}"
        writer = Writer(ours, **settings)
        for message in with_all:
            writer.write(message.data, message.when)
        writer.close()
        for file in sorted(theirs.glob("0*")):
            if file.suffix != ".idx":
                assert (ours / file.name).read_bytes() == file.read_bytes(), file.name
        assert (ours / "metastore").read_bytes() == (theirs / "metastore").read_bytes()
        assert (ours / "pre_commit").read_bytes() == (theirs / "pre_commit").read_bytes()


def test_subscribers_read_at_their_own_pace_and_what_all_have_read_is_removed(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "j", unit_limit=100)
    assert jlog.add_subscriber(tmp_path / "j", "slow")
    assert jlog.add_subscriber(tmp_path / "j", "quick")
    assert not jlog.add_subscriber(tmp_path / "j", "quick", jlog.END)
    for number in range(20):
        writer.write(b"%02d" % number + b"x" * 30)
    quick, slow = Reader(tmp_path / "j", "quick"), Reader(tmp_path / "j", "slow")
    assert len(list(quick)) == 20
    quick.checkpoint()
    assert jlog.segments(tmp_path / "j")[0] == 0
    for _ in range(10):
        last = slow.read()
    slow.checkpoint()
    assert last is not None
    assert jlog.segments(tmp_path / "j")[0] == last.id.log > 0
    assert Reader(tmp_path / "j", "quick").read() is None
    assert Reader(tmp_path / "j", "slow").read() == slow.read()
    assert jlog.remove_subscriber(tmp_path / "j", "slow")
    assert not jlog.remove_subscriber(tmp_path / "j", "slow")
    assert len(jlog.segments(tmp_path / "j")) <= 2


def test_a_subscriber_starts_at_the_beginning_the_end_or_a_message(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "j")
    for number in range(3):
        writer.write(b"%d" % number)
    jlog.add_subscriber(tmp_path / "j", "all", jlog.BEGIN)
    jlog.add_subscriber(tmp_path / "j", "new", jlog.END)
    jlog.add_subscriber(tmp_path / "j", "mid", Id(0, 2))
    writer.write(b"3")
    assert [read(tmp_path / "j", name) for name in ("all", "new", "mid")] == [
        [b"0", b"1", b"2", b"3"],
        [b"3"],
        [b"2", b"3"],
    ]
    reader = Reader(tmp_path / "j", "all")
    assert reader.interval() == (Id(0, 1), Id(0, 4))
    assert reader.read_message(Id(0, 3)).data == b"2"
    with pytest.raises(JlogError, match="there is no message 00000000:00000005"):
        reader.read_message(Id(0, 5))


def test_a_reader_follows_a_writer(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "j", unit_limit=64)
    jlog.add_subscriber(tmp_path / "j", "one")
    reader = Reader(tmp_path / "j", "one")
    for number in range(50):
        assert reader.read() is None
        writer.write(b"%d" % number)
        message = reader.read()
        assert message is not None
        assert message.data == b"%d" % number


@given(st.lists(st.binary(max_size=40)), st.integers(1, 200), st.sampled_from([0, 1, 64, 1000]))
def test_whatever_is_written_is_read(messages: list[bytes], limit: int, precommit: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "j"
        writer = Writer(path, unit_limit=limit, precommit=precommit)
        jlog.add_subscriber(path, "one")
        for each in messages:
            writer.write(each)
        assert read(path) == messages
        writer.close()
        assert read(path) == messages


def test_messages_gather_in_the_precommit_buffer(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "j", precommit=100)
    jlog.add_subscriber(tmp_path / "j", "one")
    writer.write(b"a" * 20)
    writer.write(b"b" * 20)
    assert (tmp_path / "j" / "pre_commit").stat().st_size == 104
    assert not (tmp_path / "j" / "00000000").exists()
    writer.write(b"c" * 30)
    assert (tmp_path / "j" / "00000000").stat().st_size == 72
    writer.write(b"d" * 500)
    assert read(tmp_path / "j") == [b"a" * 20, b"b" * 20, b"c" * 30, b"d" * 500]
    del writer  # as if the process had died
    Writer(tmp_path / "j").close()
    assert struct.unpack("=I", (tmp_path / "j" / "pre_commit").read_bytes()[:4]) == (0,)


@given(st.data())
def test_a_torn_tail_costs_the_torn_message_only(data: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "j"
        writer = Writer(path)
        jlog.add_subscriber(path, "one")
        messages = [b"x" * data.draw(st.integers(0, 30)) for _ in range(3)]
        sizes = [0]
        for each in messages:
            writer.write(each)
            sizes.append((path / "00000000").stat().st_size)
        writer.close()
        cut = data.draw(st.integers(0, sizes[-1]))
        segment = path / "00000000"
        segment.write_bytes(segment.read_bytes()[:cut])
        whole = messages[: sum(size <= cut for size in sizes[1:])]
        assert read(path) == whole
        writer = Writer(path)
        writer.write(b"after")
        assert read(path) == [*whole, b"after"]


def test_repair_drops_what_lies_between(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "j")
    jlog.add_subscriber(tmp_path / "j", "one")
    for number in range(4):
        writer.write(b"message %d" % number)
    writer.close()
    segment = tmp_path / "j" / "00000000"
    data = bytearray(segment.read_bytes())
    data[25 + 12 : 25 + 16] = b"\xff\xff\xff\x7f"  # the second claims to be longer than everything
    segment.write_bytes(data)
    assert read(tmp_path / "j") == [b"message 0", b"message 2", b"message 3"]
    assert jlog.repair(tmp_path / "j") == 25
    assert len(segment.read_bytes()) == 75
    assert read(tmp_path / "j") == [b"message 0", b"message 2", b"message 3"]
    assert jlog.repair(tmp_path / "j") == 0


def work(path: Path, process: int) -> None:
    writer = Writer(path)
    for number in range(300):
        writer.write(b"%d %d" % (process, number))
    writer.close()


def test_processes_and_threads_write_one_jlog_together(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Writer(path, unit_limit=2000).close()
    jlog.add_subscriber(path, "one")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(path, each)) for each in range(2)]
    shared = Writer(path)

    def thread(number: int) -> None:
        for each in range(300):
            shared.write(b"%d %d" % (number, each))

    threads = [threading.Thread(target=thread, args=(each,)) for each in (2, 3)]
    for worker in (*processes, *threads):
        worker.start()
    for worker in (*processes, *threads):
        worker.join(60)
    seen = dict.fromkeys(range(4), 0)
    for message in read(path):
        who, number = map(int, message.split())
        assert number == seen[who]
        seen[who] += 1
    assert set(seen.values()) == {300}


def test_what_is_no_jlog_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metastore").write_bytes(b"short")
    with pytest.raises(JlogError, match=r"jlog .*file: (File exists|Not a directory)"):
        Writer(tmp_path / "file")
    with pytest.raises(JlogError, match=r"jlog .*bad: metastore: a metastore has 16 bytes, not 5"):
        Writer(tmp_path / "bad")
    with pytest.raises(JlogError, match=r"jlog .*none: metastore: No such file"):
        Reader(tmp_path / "none", "one")
    Writer(tmp_path / "good").close()
    with pytest.raises(JlogError, match="there is no subscriber 'one'"):
        Reader(tmp_path / "good", "one")
    with pytest.raises(JlogError, match="a subscriber needs a name"):
        jlog.add_subscriber(tmp_path / "good", "")


KILLED = """
import sys
from runtime import jlog, log
stream = log.new_stream("j", "jlog", sys.argv[1] + "(one)", config={"segment_size": "3000", "precommit": sys.argv[2]})
plain = log.new_stream("f", "file", sys.argv[1] + ".log")
number = int(sys.argv[3])
while True:
    stream.log(b"%d\\n" % number)
    plain.log(b"%d\\n" % number)
    number += 1
"""


def killed_while_writing(path: Path, precommit: int, start: int, moment: float) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path), str(precommit), str(start)]) as process:
        log_file = path.with_name(path.name + ".log")
        size = log_file.stat().st_size if log_file.exists() else 0
        until(lambda: log_file.exists() and log_file.stat().st_size > size)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)


def survives(path: Path, kills: int, precommit: int) -> None:
    following = 0
    for kill in range(kills):
        killed_while_writing(path, precommit, following, (kill * 7919 % 100) / 5000)
        lines = path.with_name(path.name + ".log").read_bytes()
        # A signal that ends a process may end a write of the system between two pages.
        assert lines.endswith(b"\n") or len(lines) % mmap.PAGESIZE == 0, "a line is torn"
        lines = lines[: lines.rfind(b"\n") + 1]
        reader = Reader(path, "one")
        numbers = [int(each.data) for each in reader]
        assert numbers == list(range(following, following + len(numbers)))
        plain = [int(each) for each in lines.split()]
        assert plain == list(range(len(plain)))
        assert len(plain) <= numbers[-1] + 1 <= len(plain) + 1, "nothing that was logged is lost"
        reader.checkpoint()
        following = numbers[-1] + 1
        path.with_name(path.name + ".log").write_bytes(b"".join(b"%d\n" % each for each in range(following)))


@pytest.mark.parametrize("precommit", [0, 500])
def test_a_process_killed_while_it_logs_loses_nothing(tmp_path: Path, precommit: int) -> None:
    survives(tmp_path / "j", 5, precommit)


@pytest.mark.soak
@pytest.mark.parametrize("precommit", [0, 500])
def test_a_process_killed_a_hundred_times_while_it_logs_loses_nothing(tmp_path: Path, precommit: int) -> None:
    survives(tmp_path / "j", 100, precommit)


def segment(path: Path) -> Path:
    return path / "00000000"


@pytest.mark.parametrize("lost", [1, 5, 20], ids=["a byte", "some of a message", "some of a header too"])
def test_a_torn_tail_is_cut_off_before_anything_is_appended(tmp_path: Path, lost: int) -> None:
    writer = Writer(tmp_path / "j")
    jlog.add_subscriber(tmp_path / "j", "one")
    for text in (b"first", b"second"):
        writer.write(text, WHEN)
    whole = segment(tmp_path / "j").read_bytes()
    writer.write(b"torn", WHEN)
    writer.close()
    torn = segment(tmp_path / "j").read_bytes()[:-lost]
    segment(tmp_path / "j").write_bytes(torn)
    again = Writer(tmp_path / "j")
    assert segment(tmp_path / "j").read_bytes() == whole
    again.write(b"after", WHEN)
    again.close()
    assert segment(tmp_path / "j").read_bytes().startswith(whole)
    assert read(tmp_path / "j") == [b"first", b"second", b"after"]


def test_repair_cuts_off_a_torn_tail(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "j")
    for text in (b"first", b"second"):
        writer.write(text, WHEN)
    writer.close()
    whole = segment(tmp_path / "j").read_bytes()
    segment(tmp_path / "j").write_bytes(whole + whole[:7])
    assert jlog.repair(tmp_path / "j") == 7
    assert segment(tmp_path / "j").read_bytes() == whole
    assert jlog.repair(tmp_path / "j") == 0


@pytest.mark.parametrize(
    ("asked", "bytes_"), [(0, 0), (1000, 1000), (8 << 20, 8 << 20), ((8 << 20) + 1, 8 << 20), (1 << 40, 8 << 20)]
)
def test_the_precommit_buffer_has_a_most(tmp_path: Path, asked: int, bytes_: int) -> None:
    writer = Writer(tmp_path / "j", precommit=asked)
    assert (tmp_path / "j/pre_commit").stat().st_size == 4 + bytes_
    writer.close()
