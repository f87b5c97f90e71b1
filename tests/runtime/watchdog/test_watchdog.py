"""The watchdog with real processes: servers that hang, die, crash; monitors that are killed; managed applications."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from launching import free_port
from waiting import until
from watched import Started, line, started

from runtime import conf, watchdog

SERVER = """\
import os, sys, time
from runtime import conf, eventer, log, main, modules, watchdog

class Module:
    def configure(self, config):
        pass

    def init(self):
        os.write(2, b"started %d\\n" % os.getpid())  # in one piece: applications write there too
        eventer.pool("default").threads[0].post(self.work)

    def work(self):
        {work}

sys.modules["the_module"] = sys.modules["__main__"]
modules.register("test", "module", "the_module:Module")
try:
    status = main.run(conf.load("app.conf", app="app"), foreground={foreground}, lock=main.daemon.LockOp.{lock})
except main.STARTING_ERRORS as failure:
    print(failure, file=sys.stderr)
    status = 2
main.terminate(status)
"""

CONFIGURATION = """\
<app lockfile="lock">
  <eventer><config><concurrency>1</concurrency>{eventer}</config></eventer>
  <logs><console_output><outlet name="stderr"/><log name="error"/></console_output></logs>
  <modules><generic image="test" name="module"/></modules>
  {more}
</app>
"""


class Servers(Started):
    """Starts servers in a directory of the test's."""

    def start(
        self,
        work: str = "pass",
        more: str = "",
        *,
        eventer: str = "",
        foreground: int = 2,
        lock: str = "LOCK",
        **environment: str,
    ) -> "subprocess.Popen[str]":
        (self.directory / "app.conf").write_text(CONFIGURATION.format(more=more, eventer=eventer))
        (self.directory / "server.py").write_text(SERVER.format(work=work, foreground=foreground, lock=lock))
        return self.run(sys.executable, "server.py", **environment)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path)
    yield made
    made.close()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize(
    "work",
    [
        pytest.param("time.sleep(1000)", id="in C"),
        pytest.param("[None for _ in iter(int, 1)]", id="in Python"),
    ],
)
def test_a_loop_that_hangs_is_killed_and_started_again_and_leaves_a_trace(servers: Servers, work: str) -> None:
    work = f"os.path.exists('once') or (open('once', 'w').close(), {work})"
    monitor = servers.start(work, '<watchdog tracedir="."/>', MTEV_WATCHDOG_TIMEOUT="1")
    first = started(monitor)
    line(monitor, rf"\[WATCHDOG\] app {first}: no heartbeat of e:default/0 for [\d.]+ s")
    line(monitor, rf"trace in app\.{first}\.trc")
    line(monitor, rf"\[WATCHDOG\] app {first} ended with SIGABRT and is restarted")
    second = started(monitor)
    assert second != first
    assert is_gone(first)
    assert "in work" in (servers.directory / f"app.{first}.trc").read_text()
    monitor.terminate()
    assert monitor.wait(20) == 0
    assert is_gone(second)


def test_lua_that_hangs_is_killed_and_started_again(tmp_path: Path) -> None:
    (tmp_path / "main.lua").write_text(
        """
        function main()
          print(mtev.watchdog_timeout(), mtev.watchdog_child_heartbeat())
          if io.open("once") then os.exit(0) end
          io.open("once", "w"):close()
          mtev.sleep(0)
          while true do end
        end
        """
    )
    done = subprocess.run(
        [sys.executable, "-m", "luamtev", "-m", "main.lua"],
        cwd=tmp_path,
        env=os.environ | {"MTEV_WATCHDOG_TIMEOUT": "1.5"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stdout == "1.5\t0\n1.5\t0\n"
    assert "no heartbeat of e:default/0" in done.stderr


def test_a_pool_may_have_a_timeout_of_its_own(servers: Servers) -> None:
    work = "eventer.pool('quick').threads[0].post(time.sleep, 1000)"
    monitor = servers.start(work, eventer="<loop_quick>1,0.8</loop_quick>", MTEV_WATCHDOG_TIMEOUT="600")
    started(monitor)
    line(monitor, r"no heartbeat of e:quick/0")


def test_the_glider_is_run_on_what_hangs(servers: Servers) -> None:
    glider = servers.directory / "glider"
    glider.write_text('#!/bin/sh\necho "glided $2"; kill -0 $1 && echo alive\n')
    glider.chmod(0o755)
    monitor = servers.start(
        "time.sleep(1000)", f'<watchdog tracedir="{servers.directory}" glider="{glider}"/>', MTEV_WATCHDOG_TIMEOUT="1"
    )
    pid = started(monitor)
    line(monitor, "ended with SIGABRT")
    trace = (servers.directory / f"app.{pid}.trc").read_text()
    assert trace.startswith("glided watchdog\nalive\n")
    assert "most recent call first" in trace


def once_up(action: str) -> str:
    """Work that does *action* when the server is up."""
    return f"eventer.add(eventer.alloc_recurrent(lambda *_: {action} if watchdog.is_up() else eventer.RECURRENT, None))"


@pytest.mark.parametrize("retries", [0, 2])
def test_a_server_that_dies_soon_is_restarted_a_limited_number_of_times(servers: Servers, retries: int) -> None:
    monitor = servers.start(once_up("os._exit(9)"), f'<watchdog retries="{retries}" span="60"/>')
    pids = [started(monitor) for _ in range(retries + 1)]
    line(monitor, rf"\[WATCHDOG\] app {pids[-1]} ended with status 9: {retries} restarts within 60 s are enough")
    assert monitor.wait(20) == 255
    assert len(set(pids)) == retries + 1


@pytest.mark.parametrize("status", [0, 2])
def test_some_statuses_are_final(servers: Servers, status: int) -> None:
    monitor = servers.start(f"main.terminate({status})")
    started(monitor)
    assert monitor.wait(20) == status


def test_a_server_that_cannot_start_is_not_restarted(servers: Servers) -> None:
    monitor = servers.start(eventer="<loop_bad>x</loop_bad>")
    line(monitor, r"app: .*:\d+: eventer loop_bad: 'x'")
    assert monitor.wait(20) == 2


@pytest.mark.parametrize(
    ("work", "status"),
    [("os._exit(9)", 9), ("main.terminate(255)", 255), ("os.kill(os.getppid(), 0) or os._exit(3)", 3)],
)
def test_a_server_that_never_came_up_is_not_restarted(servers: Servers, work: str, status: int) -> None:
    monitor = servers.start(work)
    pid = started(monitor)
    assert monitor.wait(20) == status
    assert monitor.stderr is not None
    assert monitor.stderr.read() == (f"[WATCHDOG] app {pid} ended with status {status} before it was up: no restart.\n")


def test_a_port_in_use_is_one_line_and_no_restart(servers: Servers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monitor = servers.start(
            more=f'<listeners><listener type="http_rest_api" address="127.0.0.1" port="{port}"/></listeners>'
        )
        line(monitor, rf"app: .*{port}")
        assert monitor.wait(20) == 2


def test_a_crash_leaves_the_stacks_and_is_restarted(servers: Servers) -> None:
    work = "os.path.exists('once') or (open('once', 'w').close(), os.kill(os.getpid(), 11))"
    monitor = servers.start(work, '<watchdog tracedir="."/>')
    first = started(monitor)
    line(monitor, rf"app {first} ended with SIGSEGV and is restarted")
    started(monitor)
    assert "Segmentation fault" in (servers.directory / f"app.{first}.trc").read_text()


def test_a_server_somebody_kills_is_restarted_and_one_told_to_end_is_not(servers: Servers) -> None:
    monitor = servers.start()
    first = started(monitor)
    os.kill(first, signal.SIGKILL)
    line(monitor, rf"app {first} ended with SIGKILL and is restarted")
    second = started(monitor)
    os.kill(second, signal.SIGTERM)
    assert monitor.wait(20) == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGQUIT, 0)])
def test_the_monitor_takes_the_server_with_it(servers: Servers, number: int, status: int) -> None:
    monitor = servers.start()
    pid = started(monitor)
    monitor.send_signal(number)
    assert monitor.wait(20) == status
    assert is_gone(pid)


def test_a_monitor_that_is_killed_takes_the_server_and_its_applications_with_it(servers: Servers) -> None:
    monitor = servers.start(
        more="""<managed><application exec="sh">
                  <arg>-c</arg><arg>echo app $$; exec sleep 1000</arg>
                </application></managed>"""
    )
    found = {}
    while len(found) < 2:
        match = line(monitor, r"^(started|app) (\d+)")
        found[match[1]] = int(match[2])
    monitor.kill()
    monitor.wait()
    until(lambda: all(map(is_gone, found.values())))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_a_server_that_became_somebody_else_ends_with_its_monitor_too() -> None:
    with tempfile.TemporaryDirectory() as directory:  # where others may look, unlike tmp_path
        Path(directory).chmod(0o755)
        script = Path(directory, "main.lua")
        script.write_text("function main() io.stderr:write(mtev.getpid(), ' ', mtev.getuid(), '\\n') end")
        command = [sys.executable, "-m", "luamtev", "-m", "-u", "1234", str(script)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as monitor:
            match = line(monitor, r"^(\d+) 1234$")
            monitor.kill()
    until(lambda: is_gone(int(match[1])))


def test_stopping_ends_what_applications_started_too(servers: Servers) -> None:
    monitor = managed(
        servers, '<application exec="sh"><arg>-c</arg><arg>sleep 1000 &amp; echo pid $!; wait</arg></application>'
    )
    pid = int(line(monitor, r"^pid (\d+)")[1])
    monitor.terminate()
    assert monitor.wait(20) == 0
    until(lambda: is_gone(pid))


def test_locking_twice_keeps_the_first_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime import daemon, lockfile

    monkeypatch.chdir(tmp_path)
    configuration = conf.loads(b'<app lockfile="lock"/>')
    fd = daemon.lock(configuration, daemon.LockOp.LOCK)
    assert fd is not None
    with pytest.raises(daemon.LockError, match="lockfile lock: another process holds it"):
        daemon.lock(configuration, daemon.LockOp.LOCK)
    probe = "import sys; from runtime import lockfile; sys.exit(lockfile.acquire('lock') < 0)"
    assert subprocess.run([sys.executable, "-c", probe]).returncode == 1
    lockfile.release(fd)


SLEEPING_GLIDER = "#!/bin/sh\necho $$ > gliding\nexec sleep 1000\n"


def hang_with_a_glider_that_sleeps(servers: Servers, more: str = "") -> "subprocess.Popen[str]":
    glider = servers.directory / "glider"
    glider.write_text(SLEEPING_GLIDER)
    glider.chmod(0o755)
    work = "time.sleep(1000)"
    monitor = servers.start(work, f'<watchdog glider="{glider}"/>{more}', MTEV_WATCHDOG_TIMEOUT="1")
    started(monitor)
    until(lambda: (servers.directory / "gliding").exists() and (servers.directory / "gliding").read_text() != "")
    return monitor


def test_a_signal_is_obeyed_while_a_glider_runs(servers: Servers) -> None:
    monitor = hang_with_a_glider_that_sleeps(servers)
    monitor.terminate()
    assert monitor.wait(20) != 0
    assert is_gone(int((servers.directory / "gliding").read_text()))


def test_applications_are_tended_while_a_glider_runs(servers: Servers) -> None:
    monitor = hang_with_a_glider_that_sleeps(
        servers, '<managed><application exec="sh"><arg>-c</arg><arg>echo ran; sleep 0.2</arg></application></managed>'
    )
    gliding = int((servers.directory / "gliding").read_text())
    for _ in range(5):
        line(monitor, "^ran")
    assert not is_gone(gliding)


def test_a_directory_for_traces_is_made_or_refused(servers: Servers) -> None:
    work = "os.path.exists('once') or (open('once', 'w').close(), time.sleep(1000))"
    monitor = servers.start(work, '<watchdog tracedir="new/traces"/>', MTEV_WATCHDOG_TIMEOUT="1")
    first = started(monitor)
    line(monitor, rf"trace in new/traces/app\.{first}\.trc")
    assert "in work" in (servers.directory / "new/traces" / f"app.{first}.trc").read_text()
    monitor.kill()
    (servers.directory / "file").write_text("")
    refused = servers.start(work, '<watchdog tracedir="file/traces"/>', lock="NONE")
    line(refused, r"app\.conf:\d+: <watchdog> tracedir='file/traces': Not a directory")
    assert refused.wait(20) == 2


def test_a_trace_tells_of_threads_by_name(servers: Servers) -> None:
    monitor = servers.start("time.sleep(1000)", '<watchdog tracedir="."/>', MTEV_WATCHDOG_TIMEOUT="1")
    first = started(monitor)
    line(monitor, "ended with SIGABRT")
    trace = (servers.directory / f"app.{first}.trc").read_text()
    assert re.search(r"thread e:default/0 \(\d+\), most recent call last:\n(  .*\n)*  .*in work\n", trace)
    assert "thread MainThread" in trace


LOG = '<logs><log name="f" type="file" path="f.log" {}/><log name="error"><outlet name="f"/></log></logs>'


def test_the_monitor_writes_to_the_file_that_is_there_now(servers: Servers) -> None:
    monitor = servers.start(more=LOG.format(""))
    file = servers.directory / "f.log"
    child = started(monitor)
    for way in ("deleted", "moved"):
        if way == "deleted":
            file.unlink()
        else:
            file.rename(servers.directory / "moved.log")
        monitor.send_signal(signal.SIGHUP)
        until(file.exists)
        os.kill(child, signal.SIGKILL)
        child = started(monitor)
        assert "ended with SIGKILL and is restarted" in file.read_text()


def test_the_monitor_follows_a_rotation(servers: Servers) -> None:
    work = "[eventer.add_in(lambda *_, i=i: log.error.log(f'{i:0100}' + chr(10)), None, i / 50) for i in range(5000)]"
    monitor = servers.start(work, LOG.format('rotate_bytes="2000"'))
    child = started(monitor)
    until(lambda: len(list(servers.directory.glob("f.log.*"))) > 1)
    before = {each.name for each in servers.directory.glob("f.log.*")}
    os.kill(child, signal.SIGKILL)
    started(monitor)
    written = [each for each in servers.directory.glob("f.log*") if "is restarted" in each.read_text()]
    assert [each.name for each in written if each.name in before] == []
    assert len(written) == 1


@pytest.mark.parametrize("foreground", [1, 2])
def test_usr1_reopens_logs_and_usr2_tells_of_all_threads_and_neither_ends_anything(
    servers: Servers, foreground: int
) -> None:
    monitor = servers.start(more=LOG.format(""), foreground=foreground)
    file = servers.directory / "f.log"
    started(monitor)
    file.unlink()
    monitor.send_signal(signal.SIGUSR1)
    until(file.exists)
    monitor.send_signal(signal.SIGUSR2)
    until(lambda: {"e:default/0", "MainThread"} <= set(re.findall(r"^thread (\S+) \(\d+\)", file.read_text(), re.M)))
    assert monitor.poll() is None
    monitor.send_signal(signal.SIGQUIT)
    assert monitor.wait(20) == 0
    assert "[TERMINATE] received sigquit" in file.read_text()


def test_hangup_reaches_the_server(servers: Servers) -> None:
    monitor = servers.start()
    started(monitor)
    (servers.directory / "app.conf").write_text("<app>")
    monitor.send_signal(signal.SIGHUP)
    line(monitor, "configuration not reloaded: ")
    monitor.terminate()
    assert monitor.wait(20) == 0


# Managed applications


def managed(servers: Servers, application: str) -> "subprocess.Popen[str]":
    return servers.start(more=f"<managed>{application}</managed>")


def test_an_application_gets_its_arguments_directory_and_environment(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/of/somebody")
    (servers.directory / "sub").mkdir()
    monitor = managed(
        servers,
        """<application exec="sh" arg0="mysh" dir="sub" environment="false">
             <env>ADDED=a=b</env><env>HOME</env><env>NOT_THERE</env>
             <arg>-c</arg><arg>echo "$0 $PWD $ADDED $HOME" >&amp;2; exec sleep 1000</arg><arg>zero</arg>
           </application>""",
    )
    match = line(monitor, r"^zero (\S+) a=b (\S+)")
    assert (match[1], match[2]) == (str(servers.directory / "sub"), "/home/of/somebody")


def test_what_an_application_writes_goes_to_its_streams(servers: Servers) -> None:
    monitor = servers.start(
        more="""
        <managed>
          <application exec="sh" stdout="out" stderr="err">
            <arg>-c</arg><arg>printf 'one\ntwo'; echo three >&amp;2; exec sleep 1000</arg>
          </application>
        </managed>
        <logs>
          <log name="out" type="file" path="out.log"/><log name="err" type="file" path="err.log" facility="on"/>
        </logs>"""
    )
    pid = started(monitor)
    until(lambda: (servers.directory / "err.log").exists() and (servers.directory / "err.log").read_text() != "")
    monitor.terminate()
    monitor.wait(20)
    assert (servers.directory / "out.log").read_text() == "one\ntwo\n"
    assert (servers.directory / "err.log").read_text() == "[err] three\n"
    assert is_gone(pid)


def test_an_application_that_ends_well_is_started_again_at_once(servers: Servers) -> None:
    monitor = managed(servers, '<application exec="sh"><arg>-c</arg><arg>echo ran</arg></application>')
    for _ in range(4):
        line(monitor, "^ran")


def test_an_application_that_fails_is_started_again_after_growing_pauses(servers: Servers) -> None:
    monitor = managed(servers, '<application exec="sh"><arg>-c</arg><arg>echo ran; exit 3</arg></application>')
    pauses = [line(monitor, r"managed application sh ended with status 3; again in ([\d.]+) s")[1] for _ in range(3)]
    assert pauses == ["0.5", "1", "2"]


def test_an_application_that_cannot_start_is_told_of(servers: Servers) -> None:
    monitor = managed(servers, '<application exec="/no/such/program"/>')
    line(monitor, "managed application /no/such/program cannot start: .*No such file")
    monitor.terminate()
    assert monitor.wait(20) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_an_application_becomes_somebody_else(servers: Servers) -> None:
    monitor = managed(
        servers,
        '<application exec="sh" user="nobody" group="nogroup"><arg>-c</arg><arg>id; exec sleep 100</arg></application>',
    )
    assert line(monitor, r"uid=\d+\((\w+)\) gid=\d+\((\w+)\)").groups() == ("nobody", "nogroup")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<managed><application/></managed>", "expected an exec"),
        ("<managed><application exec='a' environment='x'/></managed>", "environment: "),
        ("<managed><application exec='a'><env>=b</env></application></managed>", "expected KEY=VALUE or KEY"),
        ("<watchdog retries='x'/>", "retries='x'"),
        ("<watchdog span='-1'/>", "span='-1'"),
        ("<watchdog save_trace_output='x'/>", "save_trace_output"),
    ],
)
def test_what_makes_no_sense_is_an_error_with_its_line(text: str, message: str) -> None:
    with pytest.raises(conf.ConfError, match=message):
        watchdog.plan(conf.loads(f"<app>{text}</app>".encode(), "app.conf"))


# The lock and the background


def test_a_second_server_is_refused_and_a_dead_ones_lock_is_taken(servers: Servers) -> None:
    first = servers.start()
    started(first)
    second = servers.start()
    line(second, rf"lockfile lock: process {first.pid} holds it")
    assert second.wait(20) == 2
    first.kill()
    first.wait()
    third = servers.start(foreground=1)
    started(third)


def test_a_server_may_wait_for_the_lock_or_ignore_it(servers: Servers) -> None:
    first = servers.start()
    started(first)
    careless = servers.start(lock="NONE")
    started(careless)
    waiting = servers.start(lock="WAIT")
    time.sleep(0.5)
    assert waiting.poll() is None
    first.terminate()
    first.wait(20)
    started(waiting)


def test_a_lockfile_that_cannot_be_is_an_error(servers: Servers) -> None:
    (servers.directory / "lock").mkdir()
    server = servers.start(lock="WAIT")
    line(server, "lockfile lock: cannot be opened for writing")
    assert server.wait(20) == 2


def test_in_the_background_it_is_known_by_its_lock(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime import daemon

    work = "open('up', 'w').close()"
    command = servers.start(work, foreground=0)
    assert command.wait(20) == 0
    monkeypatch.chdir(servers.directory)
    configuration = conf.load("app.conf", app="app")
    until(lambda: Path("up").exists())
    found = daemon.status(configuration)
    assert found is not None
    pid, group = found
    assert pid != command.pid
    assert os.getsid(pid) == group
    assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3  # noqa: PTH115
    again = servers.start(work, foreground=0)
    line(again, rf"lockfile lock: process {pid} holds it")
    assert again.wait(20) == 2
    assert daemon.terminate_running(configuration)
    assert daemon.status(configuration) is None
    assert daemon.terminate_running(configuration)
    until(lambda: is_gone(pid))


def test_hearts_have_names_and_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime.watchdog import _hearts

    monkeypatch.setattr(_hearts, "_memory", None)
    nobody = watchdog.create("unwatched")
    nobody.beat()
    assert nobody.name == ""
    watchdog.prefork_init()
    heart = watchdog.create("a heart", 2.0)
    assert (heart.name, heart.timeout) == ("a heart", 2.0)
    assert _hearts.silent(time.monotonic() + 100) is None  # it never beat
    heart.beat()
    now = time.monotonic()
    assert _hearts.silent(now + 1) is None
    silent: Any = _hearts.silent(now + 3)
    assert silent[0] == "a heart"
    heart.override_timeout(0)
    heart.set_name("another")
    monkeypatch.setenv("MTEV_WATCHDOG_TIMEOUT", "10")
    assert (heart.name, heart.timeout) == ("another", 10.0)
    assert _hearts.silent(now + 3) is None
    heart.disable()
    assert _hearts.silent(now + 300) is None
    heart.enable()
    assert _hearts.silent(now + 300) is not None
    monkeypatch.setenv("MTEV_WATCHDOG_TIMEOUT", "nonsense")
    assert watchdog.default_timeout() == 5.0


def test_a_port_is_free_again_for_the_next_server(servers: Servers) -> None:
    port = free_port()
    listeners = f'<listeners><listener type="http_rest_api" address="127.0.0.1" port="{port}"/></listeners>'
    monitor = servers.start(more=listeners)
    first = started(monitor)
    os.kill(first, signal.SIGKILL)
    started(monitor)
    until(lambda: _answers(port))


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.1 4")
    except ConnectionError:
        return False
