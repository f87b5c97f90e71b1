"""What a program prints reaches whoever reads it, however late; who does not read it holds up only who prints."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

Start = Callable[[str], "subprocess.Popen[bytes]"]

LINES = 16_000  # of 1,000 bytes: more than waits for a reader, with and without the pipe
PRINTING = f"""
local function printing() for i = 1, {LINES} do print(("%06d"):format(i) .. ("x"):rep(993)) end end
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """The real program with a script, and pipes that nobody reads yet."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(source: str) -> "subprocess.Popen[bytes]":
        (tmp_path / "main.lua").write_text(source)
        command = [sys.executable, "-m", "luamtev", "main.lua"]
        made = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(made)
        return made

    yield begin
    for each in started:
        with each:
            each.kill()


def told(stream: "IO[bytes] | None") -> bytes:
    assert stream is not None
    return stream.readline()


def read(process: "subprocess.Popen[bytes]") -> tuple[list[int], bytes, int]:
    """The numbers of the lines, what else was told, and the status."""
    out, err = process.communicate(timeout=60)
    return [int(line[:6]) for line in out.splitlines()], err, process.returncode


def test_a_coroutine_that_prints_more_than_is_read_waits_and_the_others_go_on(start: Start) -> None:
    process = start(f"""
        {PRINTING}
        function main()
          mtev.coroutine_spawn(function()
            for _ = 1, 20 do mtev.sleep(0.01) end
            io.stderr:write("turning\\n")
          end)
          printing()
          mtev.log("stdout", "999999")
          os.exit(3)
        end
    """)
    assert told(process.stderr) == b"turning\n"
    assert read(process) == ([*range(1, LINES + 1), 999_999], b"", 3)


def test_a_program_that_prints_as_it_is_loaded_waits(start: Start) -> None:
    process = start(f"""
        {PRINTING}
        io.stderr:write("begun\\n")
        printing()
        function main() os.exit(4) end
    """)
    assert told(process.stderr) == b"begun\n"
    time.sleep(0.5)  # it goes on as far as it can
    assert read(process) == ([*range(1, LINES + 1)], b"", 4)


LEAVING = """
function main()
  for i = 1, 300 do print(("%06d"):format(i) .. ("x"):rep(993)) end
  io.stderr:write("leaving\\n")
  LEAVE
end
"""


@pytest.mark.parametrize(("leave", "status"), [("os.exit(2)", 2), ("error('x')", 255)])
def test_a_program_that_ends_waits_for_its_reader(start: Start, leave: str, status: int) -> None:
    process = start(LEAVING.replace("LEAVE", leave))
    assert told(process.stderr) == b"leaving\n"
    time.sleep(2.5)  # longer than the end of a server waits for who reads its logs
    assert process.poll() is None
    numbers, _, ended = read(process)
    assert (numbers, ended) == ([*range(1, 301)], status)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_waits_for_its_reader_may_be_ended(start: Start, number: signal.Signals) -> None:
    process = start(LEAVING.replace("LEAVE", "os.exit(2)"))
    assert told(process.stderr) == b"leaving\n"
    process.send_signal(number)
    process.wait(timeout=60)
    numbers, said, status = read(process)
    assert numbers == [*range(1, len(numbers) + 1)] and len(numbers) < 300
    assert status in (0, 2)
    assert said in (b"", b"[TERMINATE] received %s, shutting down.\n" % number.name.lower().encode())


def test_a_reader_that_is_gone_is_not_waited_for(start: Start) -> None:
    process = start(f"""
        {PRINTING}
        function main() printing() os.exit(5) end
    """)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 5
