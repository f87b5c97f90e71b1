"""luamtev-jlog: journals read from the shell, which changes nothing, and repaired."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from luamtev.jlog import main
from runtime import jlog
from runtime.jlog import Reader, Writer

DATA = Path(__file__).parents[1] / "data" / "jlog"
COMMAND = [sys.executable, "-c", "import sys; from luamtev.jlog import main; sys.exit(main())"]

Journal = Callable[..., Path]


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(DATA / name, tmp_path / name))

    return copy


def files(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir()}


@pytest.mark.parametrize("name", ["plain", "lz4", "segments"])
def test_reading_shows_all_and_changes_nothing(journal: Journal, name: str) -> None:
    path = journal(name)
    before = files(path)
    shown = run("cat", path)
    tail = run("tail", "-n", 3, path)
    info = run("info", path)
    assert files(path) == before
    wanted = [each.data.decode().rstrip("\n") for each in jlog.messages(path)]
    assert shown.stdout.splitlines() == wanted
    assert tail.stdout.splitlines() == wanted[-3:]
    assert f"{len(wanted)} messages in {len(jlog.segments(path))} segments" in info.stdout
    assert {done.returncode for done in (shown, tail, info)} == {0}


def test_ids_and_times(journal: Journal) -> None:
    lines = run("cat", "--times", journal("plain")).stdout.splitlines()
    assert lines[1] == "00000000:00000002 2023-11-14T22:13:20.000001Z line 1 of the plain sample"


def test_what_a_subscriber_has_not_consumed(journal: Journal) -> None:
    path = journal("plain")
    reader = Reader(path, "one")
    for _ in range(7):
        reader.read()
    reader.checkpoint()
    assert run("cat", "-s", "one", path).stdout == "".join(f"line {n} of the plain sample\n" for n in (7, 8, 9))
    assert "subscriber one  at 00000000:00000007  3 messages behind" in run("info", path).stdout
    done = run("cat", "-s", "three", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"luamtev-jlog: jlog {path}: there is no subscriber 'three', but one, two\n"


def test_what_waits_in_the_writer_s_buffer_is_shown(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "feed", precommit=4096)
    writer.write(b"one")
    writer.write(b"two")
    assert run("cat", tmp_path / "feed").stdout == "one\ntwo\n"
    assert "0 messages in" in run("info", tmp_path / "feed").stdout
    assert "2 not in one yet" in run("info", tmp_path / "feed").stdout
    writer.close()
    assert run("cat", tmp_path / "feed").stdout == "one\ntwo\n"


def test_following_goes_on_over_segments(tmp_path: Path) -> None:
    path = tmp_path / "feed"
    writer = Writer(path, unit_limit=100)
    jlog.add_subscriber(path, "one")
    writer.write(b"before")
    with subprocess.Popen([*COMMAND, "tail", "-f", str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "before\n"
        for number in range(20):
            writer.write(b"message %d" % number)
            assert process.stdout.readline() == f"message {number}\n"
        process.terminate()
    writer.close()


def test_repair_drops_what_was_torn(journal: Journal) -> None:
    path = journal("plain")
    segment = path / "00000000"
    whole = segment.read_bytes()
    segment.write_bytes(whole + whole[:20])
    assert "20 torn" in run("info", path).stdout
    assert run("repair", path).stdout == "20 bytes dropped\n"
    assert segment.read_bytes() == whole
    assert run("repair", path).stdout == "0 bytes dropped\n"


@pytest.mark.parametrize("command", ["cat", "tail", "info", "repair"])
def test_what_is_no_jlog_is_one_line(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    for name in ("nothing", "file", "empty"):
        done = run(command, tmp_path / name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"luamtev-jlog: jlog {tmp_path / name}: metastore: ")
        assert done.stderr.count("\n") == 1


def test_a_wrong_command_line(tmp_path: Path) -> None:
    for arguments in ((), ("dog", tmp_path), ("cat",), ("tail", "-n", "many", tmp_path)):
        assert run(*arguments).returncode == 2


def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "feed")
    for _ in range(2000):
        writer.write(b"x" * 200)
    writer.close()
    cat = subprocess.Popen([*COMMAND, "cat", str(tmp_path / "feed")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert cat.stdout is not None
    cat.stdout.read(10)
    cat.stdout.close()
    assert cat.stderr is not None
    assert (cat.stderr.read(), cat.wait(60)) == (b"", 0)
    cat.stderr.close()


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ("", 2, "required: COMMAND; luamtev-jlog --help lists"),
        ("caat J", 2, "invalid choice: 'caat' (choose from "),
        ("cat", 2, "required: DIRECTORY; luamtev-jlog cat --help lists"),
        ("cat J more", 2, "unrecognized arguments: more;"),
        ("cat -x J", 2, "unrecognized arguments: -x;"),
        ("cat -n 3 J", 2, "unrecognized arguments: "),
        ("cat -s", 2, "-s/--subscriber: expected one argument;"),
        ("cat -s nobody J", 1, "there is no subscriber 'nobody', but one, two"),
        ("tail -n J", 2, "-n/--lines: 'J' is no number of messages"),
        ("tail -n 1.5 J", 2, "-n/--lines: '1.5' is no number of messages"),
        ("tail -n -1 J", 2, "-n/--lines: '-1' is no number of messages"),
        ("tail -n 99999999999999999999999 J", 2, "no number of messages up to 1000000000"),
        ("tail --follow=x J", 2, "-f/--follow: ignored explicit argument 'x'"),
        ("info J J", 2, "unrecognized arguments: J;"),
        ("repair", 2, "required: DIRECTORY; luamtev-jlog repair --help lists"),
        *(
            (f"{command} {path}", 1, f"jlog {path}: metastore: {why}")
            for command in ("cat", "tail", "tail -f", "info", "repair")
            for path, why in (
                ("none", "No such file or directory"),
                ("file", "Not a directory"),
                ("empty", "No such file or directory"),
                ("torn", "a metastore has 16 bytes, not 3"),
            )
        ),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    line: str,
    status: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("J", "torn"):
        shutil.copytree(DATA / "plain", name)
    os.truncate("torn/metastore", 3)
    Path("file").touch()
    Path("empty").mkdir()
    try:
        found = main(line.split())
    except SystemExit as left:
        found = int(str(left.code))
    out, errors = capfd.readouterr()
    assert (found, out, errors.count("\n")) == (status, "", 1)
    assert errors.startswith("luamtev-jlog: ") and says in errors


def test_a_jlog_without_a_name_is_none(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["cat", ""])
    assert "DIRECTORY: a name that is empty is no jlog's" in capfd.readouterr().err


def test_an_output_that_takes_nothing_is_told(journal: Journal) -> None:
    path = journal("plain")
    for output, why in (
        (">/dev/full", "standard output: No space left on device"),
        (">&-", "standard output is closed"),
    ):
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {output}', "sh", *COMMAND, "cat", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (1, f"luamtev-jlog: {why}\n")
