"""The order in which the stack comes up, and how it ends.  What needs the whole program is tested with luamtev."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runtime import main
from runtime.main import SecurityError


def test_unknown_users_and_groups_are_named() -> None:
    with pytest.raises(SecurityError, match="unknown user 'nobody-here'"):
        main.security_init("nobody-here", None)
    with pytest.raises(SecurityError, match="unknown group 'no-group-here'"):
        main.security_init(None, "no-group-here")


def test_the_user_and_group_one_has_are_no_change() -> None:
    before = os.getresuid(), os.getresgid()
    main.security_init(str(os.getuid()), str(os.getgid()))
    main.security_init(None, None)
    assert (os.getresuid(), os.getresgid()) == before


@pytest.mark.skipif(os.getuid() != 0, reason="needs a user to give up being")
def test_privileges_given_up_stay_given_up() -> None:
    program = """
        from runtime import main
        main.security_init("nobody", "nogroup")
        try:
            main.security_init("root", None)
        except main.SecurityError as refused:
            print(refused)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("cannot become user root, group 0: ")


@pytest.mark.skipif(os.getuid() != 0, reason="needs a user to give up being")
@pytest.mark.parametrize(
    ("user", "group", "ids"),
    [
        ("'daemon'", "None", "1 1 1 | 1 1 1 | [1]"),
        ("'daemon'", "'mail'", "1 1 1 | 8 8 8 | [8]"),
        ("'1'", "None", "1 1 1 | 1 1 1 | [1]"),
        ("'54321'", "None", "54321 54321 54321 | 54321 54321 54321 | [54321]"),
        ("None", "'mail'", "0 0 0 | 8 8 8 | [8]"),
    ],
)
def test_a_user_brings_its_own_groups_and_leaves_no_way_back(user: str, group: str, ids: str) -> None:
    program = f"""
        import os
        from runtime import main
        os.setgroups([0, 4, 27])
        main.security_init({user}, {group})
        print(*os.getresuid(), "|", *os.getresgid(), "|", os.getgroups())
        back = []
        for way in (lambda: os.setuid(0), lambda: os.seteuid(0), lambda: os.setgroups([0]), lambda: os.setgid(0)):
            try:
                way()
                back.append(True)
            except PermissionError:
                back.append(False)
        print(any(back))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"{ids}\n{user == 'None'}\n"


def test_root_that_can_be_had_back_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("setgroups", "setresgid", "setresuid", "seteuid", "setuid"):
        monkeypatch.setattr(os, name, lambda *_: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SecurityError, match="for good: root can be had back"):
        main.security_init("nobody", "nogroup")


PYTHON_MODULE = """
    import os
    from runtime import eventer, log

    class ticker:
        def configure(self, config):
            self.message = config["message"]

        def init(self):
            eventer.add_in(self.tick, None, 0.01)

        def tick(self, event, mask, closure, now):
            log.error.log(self.message + "\\n")
            os.kill(os.getpid(), {signal})
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_stack_of_python_modules_alone_runs_and_ends(tmp_path: Path, number: int, status: int) -> None:
    (tmp_path / "clock.py").write_text(textwrap.dedent(PYTHON_MODULE).replace("{signal}", str(int(number))))
    (tmp_path / "app.xml").write_text(
        f'<app><logs/><modules directory="{tmp_path}"><generic image="clock" name="ticker">'
        "<config><message>tick</message></config></generic></modules></app>"
    )
    program = "import sys; from runtime import conf, main; sys.exit(main.run(conf.load('app.xml')))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    name = signal.Signals(number).name.lower()
    assert done.stderr == f"tick\n[TERMINATE] received {name}, shutting down.\n"
    assert done.returncode == status


UNFIT = """
    import os
    from runtime import conf, eventer, lifecycle, log

    class module:
        def configure(self, config):
            pass

        def init(self):
            lifecycle.on_stop(lambda: log.error.log("the first one stops\\n"))
            lifecycle.on_stop(self.fail)
            lifecycle.on_exit(self.fail)
            lifecycle.on_exit(lambda: log.error.log("the last one ends\\n"))
            eventer.add_in(self.tick, None, 0.01)

        def tick(self, event, mask, closure, now):
            conf.current().set_string("/app/kept", "changed")
            os.kill(os.getpid(), 15)

        def fail(self):
            raise OSError(24, "Too many open files")
"""


def test_what_fails_at_the_end_keeps_nobody_else_from_ending(tmp_path: Path) -> None:
    (tmp_path / "unfit.py").write_text(textwrap.dedent(UNFIT))
    file = tmp_path / "app.xml"
    file.write_text(
        f'<app><logs/><kept>as it was</kept><modules directory="{tmp_path}">'
        '<generic image="unfit" name="module"/></modules></app>'
    )
    program = "from runtime import conf, main; main.terminate(main.run(conf.load('app.xml')))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    said = [each for each in done.stderr.splitlines() if each and not each.startswith(" ")]
    failed = ["module.fail failed", "Traceback (most recent call last):", "OSError: [Errno 24] Too many open files"]
    told = "[TERMINATE] received sigterm, shutting down."
    assert said == [told, *failed, "the first one stops", *failed, "the last one ends"]
    assert done.returncode == 0 and "<kept>changed</kept>" in file.read_text()


def test_terminate_writes_what_is_still_buffered_and_skips_the_rest() -> None:
    program = """
        import atexit, sys
        from runtime import main
        atexit.register(lambda: print("atexit"))
        sys.stdout.write("buffered")
        main.terminate(3)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (3, "buffered")


HUP_PROGRAM = """
    import faulthandler, os, signal, sys, threading, time
    from pathlib import Path
    from runtime import conf, log, main

    faulthandler.dump_traceback_later(50, exit=True)
    loaded = conf.load("app.xml")

    def until(condition):
        while not condition():
            time.sleep(0.005)

    def operate():
        until(lambda: log.stream_exists("file") and signal.getsignal(signal.SIGHUP) not in (signal.SIG_DFL, None))
        Path("app.log").rename("old.log")
        Path("app.xml").write_text(Path("app.xml").read_text().replace("<v>1</v>", "<v>2</v>"))
        os.kill(os.getpid(), signal.SIGHUP)
        until(lambda: loaded.get_string("/app/v") == "2")
        log.stream_find("file").log("after\\n")
        Path("app.xml").write_text("<app><v>")
        os.kill(os.getpid(), signal.SIGHUP)
        until(lambda: Path("errors").exists() and b"not reloaded" in Path("errors").read_bytes())
        print(loaded.get_string("/app/v"))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=operate, daemon=True).start()
    sys.exit(main.run(loaded))
"""


def test_hup_reopens_logs_and_reads_the_configuration_again_unless_it_is_bad(tmp_path: Path) -> None:
    (tmp_path / "app.xml").write_text(
        '<app><v>1</v><logs><log name="file" type="file" path="app.log"/><log name="errors" type="file" path="errors"/>'
        '<log name="error/conf"><outlet name="errors"/></log></logs></app>'
    )
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(HUP_PROGRAM)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == (
        "[RELOAD] log app.log: goes on in another file\n"
        "[RELOAD] app.xml:1: <v> changed: in force for those who ask from now on\n"
        "[TERMINATE] received sigterm, shutting down.\n"
    )
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert (tmp_path / "app.log").read_text() == "after\n"
    assert (tmp_path / "errors").read_text().startswith("configuration not reloaded: app.xml:1: ")


@pytest.mark.parametrize("end", ["main.terminate(0)", "os.kill(os.getpid(), 15)"])
def test_what_was_changed_is_saved_when_the_process_ends(tmp_path: Path, end: str) -> None:
    (tmp_path / "app.xml").write_text("<app><v>1</v></app>")
    program = f"""
        import os, sys, threading
        from runtime import conf, main
        loaded = conf.load("app.xml")
        def change():
            loaded.set_string("/app/v", "2")
            {end}
        threading.Timer(0.2, change).start()
        sys.exit(main.run(loaded))
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path, capture_output=True, timeout=60, check=True
    )
    assert "<v>2</v>" in (tmp_path / "app.xml").read_text()
