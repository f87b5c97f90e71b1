"""Signals kept for a program that starts, without the program."""

import signal
import subprocess
import sys
import textwrap


def python(program: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_one_that_comes_where_nothing_can_be_raised_is_kept_without_a_word() -> None:
    program = """
        import os, signal
        from runtime import signals

        class Ends:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGTERM)

        with signals.kept():
            ended = Ends()
            del ended
            print(signals.pending() == [signal.SIGTERM])
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except signals.Terminated as told:
                print(told, told.status)
    """
    assert python(program) == (0, "True\nreceived sigint while starting 130\n", "")


def test_they_are_as_they_were_once_it_is_over() -> None:
    program = """
        import os, signal, sys
        from runtime import signals

        hook = sys.unraisablehook
        with signals.kept():
            with signals.kept():
                os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGHUP)
            signals.hold()
            os.kill(os.getpid(), signal.SIGTERM)
            print([signal.Signals(each).name for each in signals.pending()], signals.pending())
            os.kill(os.getpid(), signal.SIGUSR1)
            print(signals.wait(60, lambda: None) == signal.SIGUSR1)
        print(sys.unraisablehook is hook, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
    """
    assert python(program) == (-signal.SIGTERM, "['SIGHUP', 'SIGTERM'] []\nTrue\nTrue True\n", "")


def test_one_that_was_kept_before_what_may_take_its_time_ends_that() -> None:
    program = """
        import os, signal
        from runtime import signals

        with signals.kept():
            signals.hold()
            for number in (signal.SIGHUP, signal.SIGTERM):
                os.kill(os.getpid(), number)
            try:
                with signals.raised():
                    print("began")
            except signals.Terminated as told:
                print(told.number == signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            print(signals.pending() == [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
    """
    assert python(program) == (0, "True\nTrue\n", "")


def test_a_child_is_told_its_own() -> None:
    program = """
        import os, signal
        from runtime import signals

        with signals.kept():
            signals.hold()
            os.kill(os.getpid(), signal.SIGHUP)
            with signals.blocked():
                child = os.fork()
                if child == 0:
                    os.kill(os.getpid(), signal.SIGUSR1)
                    signals.unblock()
                    os._exit(0 if signals.pending() == [signal.SIGUSR1] else 1)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), signals.pending() == [signal.SIGHUP])
    """
    assert python(program) == (0, "0 True\n", "")


def test_one_that_is_taken_for_another_failure_ends_the_program_all_the_same() -> None:
    program = """
        import os, signal
        from runtime import signals

        try:
            with signals.kept():
                try:
                    os.kill(os.getpid(), signal.SIGTERM)
                except signals.Terminated:
                    raise ImportError("cannot initialise strings")
        except signals.Terminated as told:
            print(told)
        with signals.kept():
            try:
                raise ValueError
            except ValueError:
                print("a failure stays one")
    """
    assert python(program) == (0, "received sigterm while starting\na failure stays one\n", "")
