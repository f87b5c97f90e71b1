"""Files as Lua writes them: full pipes, full disks, signals and sizes; and locks among processes."""

import array
import errno
import fcntl
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from measuring import RESIDENT, SETTLED


def test_a_full_pipe_is_an_error_and_not_a_wait(lua: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        text = lua(
            f"""
            function main()
              local fd = mtev.open("{tmp_path}/pipe", O_WRONLY + O_NONBLOCK)
              local sum, n, number, message = 0
              repeat
                n, number, message = mtev.write(fd, ("x"):rep(1000))
                if n > 0 then sum = sum + n end
              until n < 0
              print(sum, n, number, message)
              mtev.close(fd)
              os.exit(0)
            end
            """
        )
        written = int(text.split("\t")[0])
        assert text == f"{written}\t-1\t{errno.EAGAIN}\t{os.strerror(errno.EAGAIN)}\n"
        assert len(os.read(reader, 10_000_000)) == written
    finally:
        os.close(reader)


def test_a_pipe_nobody_reads_is_an_error(lua: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    lua(f"fd = mtev.open('{tmp_path}/pipe', O_WRONLY) mtev.shared_set('fd', fd) function main() os.exit(0) end")
    os.close(reader)
    text = lua("function main() print(mtev.write(mtev.shared_get('fd'), 'x')) os.exit(0) end")
    assert text == f"-1\t{errno.EPIPE}\t{os.strerror(errno.EPIPE)}\n"
    lua("function main() assert(mtev.close(mtev.shared_get('fd')) == 0) mtev.shared_set('fd') os.exit(0) end")


def test_a_signal_does_not_end_a_write(lua: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        lua.start(
            f"""
            function main()
              local path = "{tmp_path}/pipe"
              local full, fd = mtev.open(path, O_WRONLY + O_NONBLOCK), mtev.open(path, O_WRONLY)
              repeat until mtev.write(full, ("x"):rep(4096)) < 0
              repeat until mtev.write(full, "x") < 0
              mtev.close(full)
              os.exit(9)
              print(mtev.write(fd, "end")) -- blocks the loop until there is room
              mtev.close(fd)
              os.exit(0)
            end
            """
        )
        assert lua.status() == 9
        thread = lua.states[0].thread._thread.ident
        for _ in range(2000):
            signal.pthread_kill(thread, signal.SIGUSR1)
        os.set_blocking(reader, True)
        received = b""
        while piece := os.read(reader, 65536):
            received += piece
        assert received.strip(b"x") == b"end"
        assert lua.status() == 0
        assert lua.printed() == "3\tnil\n"
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(reader)


def waiting(fd: int) -> int:
    """Bytes that can be read from a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def test_what_fits_into_a_pipe_is_told(lua: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        text = lua(
            f"""
            function main()
              local fd = mtev.open("{tmp_path}/pipe", O_WRONLY + O_NONBLOCK)
              print(mtev.write(fd, ("x"):rep(10000000)))
              mtev.close(fd)
              os.exit(0)
            end
            """
        )
        assert text == f"{waiting(reader)}\tnil\n"
    finally:
        os.close(reader)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error(lua: Any) -> None:
    text = lua(
        """
        function main()
          local fd = mtev.open("/dev/full", O_WRONLY)
          print(mtev.write(fd, "x"))
          mtev.close(fd)
          os.exit(0)
        end
        """
    )
    assert text == f"-1\t{errno.ENOSPC}\t{os.strerror(errno.ENOSPC)}\n"


WRITE = """
    function main()
      local fd = mtev.open("PATH", O_WRONLY + O_CREAT, tonumber("600", 8))
      print(mtev.write(fd, ("0123456789abcdef"):rep(SIZE / 16)), mtev.stat(fd).size)
      mtev.close(fd)
      os.exit(0)
    end
"""


@pytest.mark.parametrize("size", [64 << 20, pytest.param(1 << 30, marks=pytest.mark.soak)])
def test_a_large_text_is_written_at_once(luamtev: Callable[..., Any], tmp_path: Path, size: int) -> None:
    path = tmp_path / "large"
    done = luamtev("main.lua", source=WRITE.replace("PATH", str(path)).replace("SIZE", str(size)))
    assert (done.stdout.decode(), done.stderr) == (f"{size}\t{size}\n", b"")
    with path.open("rb") as file:
        for place in (0, size // 2, size - 16):
            file.seek(place)
            assert file.read(16) == b"0123456789abcdef"
    path.unlink()


def test_files_stay_out_of_children_and_none_stays_open(luamtev: Callable[..., Any]) -> None:
    done = luamtev(
        "main.lua",
        source="""
        function main()
          for i = 1, 20000 do
            local fd = mtev.open("main.lua", O_RDONLY)
            assert(fd < 100)
            mtev.stat(fd)
            assert(mtev.close(fd) == 0)
            mtev.readdir(".")
          end
          local fd = mtev.open("main.lua", O_RDONLY)
          print(os.execute("test ! -e /dev/fd/" .. fd))
          os.exit(0)
        end
        """,
    )
    assert (done.stdout, done.stderr) == (b"0\n", b"")


def test_a_descriptor_closed_by_number_makes_room_for_a_socket(luamtev: Callable[..., Any]) -> None:
    done = luamtev(
        "main.lua",
        source="""
        function main()
          local listener = mtev.socket("inet")
          listener:setsockopt("SO_REUSEADDR", 1)
          listener:bind("127.0.0.1", 0)
          listener:listen(10)
          local _, port = listener:sock_name()
          local function wait_for_bytes()
            local client = mtev.socket("inet")
            client:connect("127.0.0.1", port)
            local server = listener:accept()
            mtev.coroutine_spawn(function()
              server = server:own()
              server:write("hello")
              mtev.sleep(10)
              server:close()
            end)
            local text = client:read(5)
            return client, text
          end
          local client, text = wait_for_bytes()
          assert(mtev.close(client.fd) == 0)
          client.guard[0], client.fd = -1, -1
          print(text, select(2, wait_for_bytes()))
          os.exit(0)
        end
        """,
    )
    assert (done.stdout, done.stderr) == (b"hello\thello\n", b"")


def test_a_million_names_are_listed_and_filtered_without_a_trace(luamtev: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for i in range(1000):
        (tmp_path / "many" / f"name-{i}").touch()
    done = luamtev(
        *SETTLED,
        "main.lua",
        source=RESIDENT
        + """
        function main()
          local function count(n)
            local sum = 0
            for i = 1, n do sum = sum + #mtev.readdir("many", function(name) return #name > 2 end) end
            return sum
          end
          count(100)
          local before = resident()
          print(count(1000), resident() - before < 4000000)
          os.exit(0)
        end
        """,
    )
    assert (done.stdout, done.stderr) == (b"1000000\ttrue\n", b"")


def test_the_working_directory_may_be_gone(luamtev: Callable[..., Any]) -> None:
    done = luamtev(
        "main.lua",
        source="""
        ffi.cdef "int chdir(const char *path); int open(const char *path, int flags, ...);"
        function main()
          mtev.mkdir("gone")
          assert(ffi.C.chdir("gone") == 0)
          print(mtev.getcwd() == mtev.realpath("."), mtev.rmdir(mtev.getcwd()))
          print(mtev.getcwd())
          os.exit(0)
        end
        """,
    )
    assert (done.stdout, done.stderr) == (b"true\ttrue\nnil\n", b"")


HOLDER = """
import sys
from runtime import lockfile
print(lockfile.acquire(sys.argv[1]), flush=True)
sys.stdin.read()
"""


def test_a_lock_file_is_refused_while_its_process_lives(lua: Any, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    source = f"""
        function main()
          local fd = mtev.lockfile_acquire("{path}")
          print(fd >= 0)
          if fd >= 0 then mtev.lockfile_release(fd) end
          os.exit(0)
        end
    """
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert int(holder.stdout.readline()) >= 0
        assert lua(source) == "false\n"
        holder.kill()
        holder.wait()
        assert lua(source) == "false\ntrue\n"
