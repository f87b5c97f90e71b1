#!/bin/sh
# pytest-xdist 3.8.0 with --dist loadgroup: the group that a mark `xdist_group` gives is put behind an "@" at the end of a
# test's id, and read from there.  A good guess: tests without the mark have no group, and are handed out one by one.
# Seen: the id of an item of one's own collector (a line of a data file, a spec, a mail address) that has an "@" is read the
# same way: all whose ids end alike behind their last "@", of whatever files, run in one process, one after the other.
# Ids in brackets, those of parametrize, are not.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pytest==9.0.2 pytest-xdist==3.8.0
mkdir "$folder/suite"
cat > "$folder/suite/conftest.py" <<'PYTHON'
import pytest


class Line(pytest.Item):
    def runtest(self):
        pass


class Lines(pytest.File):
    def collect(self):
        for name in self.path.read_text().splitlines():
            yield Line.from_parent(self, name=name)


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".txt":
        return Lines.from_parent(parent, path=file_path)
PYTHON
for i in 1 2 3 4 5 6; do
  printf 'no sign %s\nmail to user%s@example.org\n' "$i" "$i" > "$folder/suite/file$i.txt"
done
cd "$folder/suite"
"$folder/venv/bin/python" - <<'PYTHON'
import re
import subprocess
import sys

import xdist
from xdist.scheduler.loadgroup import LoadGroupScheduling

command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "-n", "3", "--dist", "loadgroup"]
out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
ran = re.findall(r"^\[(gw\d)\].*PASSED (\S+::.*?) *$", out, re.M)
processes = {worker for worker, name in ran if "@" in name}
scope_of = LoadGroupScheduling._split_scope
print("pytest-xdist", xdist.__version__)
print("six tests '...@example.org' of six files ran in", processes)
scopes = {name: scope_of(None, name) for _, name in sorted(ran)[:4]}
for name, scope in scopes.items():
    print(f"{name!r} belongs to {scope!r}")
print("'test_m.py::test[a@b]' belongs to", repr(scope_of(None, "test_m.py::test[a@b]")))
changed = len(ran) != 12 or len(processes) != 1 or scope_of(None, "a.txt::x@b") != "b"
sys.exit(changed)
PYTHON
