#!/bin/sh
# pytest 9.2 and gevent 26.9: a thread that dies of an exception fails its test, where warnings are errors
# (PytestUnhandledThreadExceptionWarning), and so does one that Python could not raise (PytestUnraisableExceptionWarning).  A
# greenlet that dies fails nothing: gevent's hub prints the traceback to standard error, past sys.excepthook,
# threading.excepthook and sys.unraisablehook, and pytest shows that only for tests that fail.  So a suite with -W error is
# green though the background work that it starts has failed in every test.  A hub whose handle_error raises or notes
# tells, as does greenlet.get() where somebody keeps the greenlet.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pytest==9.2.0' 'gevent==26.9.0'
cd "$folder"
cat > test_background.py <<'PYTHON'
import threading

import gevent


def work():
    raise RuntimeError("the background work failed")


class Finalized:
    def __del__(self):
        work()


def test_thread():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_finalizer():
    Finalized()


def test_greenlet():
    gevent.spawn(work)
    gevent.sleep(0.01)


def test_loop_callback():
    gevent.get_hub().loop.run_callback(work)
    gevent.sleep(0.01)
PYTHON
venv/bin/pytest -q -W error -p no:cacheprovider -rA test_background.py > out 2>&1 || true
echo "pytest $(venv/bin/pip list 2>/dev/null | sed -n 's/^pytest *//p') gevent $(venv/bin/pip list 2>/dev/null | sed -n 's/^gevent *//p')"
grep -E '^(PASSED|FAILED)' out | cut -c1-110 | tee found
test "$(grep -c '^FAILED .*::test_\(thread\|finalizer\) ' found)" = 2
test "$(grep -c '^PASSED .*::test_\(greenlet\|loop_callback\)$' found)" = 2
