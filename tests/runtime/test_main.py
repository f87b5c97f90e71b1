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
    main.security_init(str(os.getuid()), str(os.getgid()))
    main.security_init(None, None)


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
    assert done.stdout.startswith("cannot become user root, group (same): ")


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
