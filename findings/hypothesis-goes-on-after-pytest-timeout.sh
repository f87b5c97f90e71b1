#!/bin/sh
# pytest-timeout 2.4.0 and hypothesis 6.170: a property that hangs is not ended by the timeout.  The timer strikes once, and
# what it raises in the test is an example that fails, for hypothesis: it runs the same example again, several times, and
# nobody looks at the clock any more.  With a timeout of 1 second and examples of 3 that test takes ten times the timeout
# and more, and one whose examples never end never does, though it was told off; it is then reported as flaky.
# The other method, timeout_method = thread, ends the process, and all other tests with it.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  'pytest==9.2.0' 'pytest-timeout==2.4.0' 'hypothesis==6.170.17'
cd "$folder"
cat > test_slow.py <<'PYTHON'
import time

from hypothesis import given, settings
from hypothesis import strategies as st


def wait():
    with open("runs", "a") as out:
        out.write(".")
    time.sleep(3)


def test_plain():
    wait()


@settings(deadline=None)
@given(st.integers())
def test_property(number):
    wait()
PYTHON
cat > finding.py <<'PYTHON'
import subprocess
import sys
import time
from importlib.metadata import version

print(*(f"{each} {version(each)}" for each in ("pytest", "pytest-timeout", "hypothesis")))
found = {}
for test in ("plain", "property"):
    open("runs", "w").close()
    began = time.monotonic()
    command = ["venv/bin/pytest", "-q", "-p", "no:cacheprovider", "--timeout=1", f"test_slow.py::test_{test}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    found[test] = time.monotonic() - began, open("runs").read().count(".")
    last = next(line for line in done.stdout.splitlines() if line.startswith("FAILED"))
    print(f"{test}: {found[test][0]:.1f} seconds, run {found[test][1]} times: {last[:100]}")
sys.exit(0 if found["plain"][1] == 1 and found["property"][1] > 2 and found["property"][0] > 6 else "changed")
PYTHON
venv/bin/python finding.py
