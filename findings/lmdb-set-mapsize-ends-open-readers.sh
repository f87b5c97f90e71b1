#!/bin/sh
# lmdb 3.0.0 (Python): set_mapsize() while a read transaction is open neither refuses nor waits.  It succeeds, and the
# reader is dead from then on: lmdb.Error "Attempt to operate on closed/deleted/dropped object".  And a reader that was
# aborted keeps its slot in the reader table as long as its Python object lives, so slots run out by objects that somebody
# keeps, not by transactions that are open.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'lmdb==3.0.0'
"$folder/venv/bin/python" - "$folder/table" <<'PYTHON'
import sys

import lmdb

print("lmdb", lmdb.__version__, "with LMDB", lmdb.version())
environment = lmdb.open(sys.argv[1], map_size=1 << 20)
with environment.begin(write=True) as writer:
    writer.put(b"key", b"value")

reader = environment.begin()
print("a reader sees", reader.get(b"key"))
environment.set_mapsize(1 << 21)
print("set_mapsize beside it: done")
try:
    print("the reader sees", reader.get(b"key"))
    ended = False
except lmdb.Error as error:
    print("the reader raises", repr(str(error)))
    ended = True

other = environment.begin()
other.abort()
held = "no active readers" not in environment.readers()
print("slots after abort():", environment.readers().strip().splitlines()[1:])
del other
freed = "no active readers" in environment.readers()
print("slots after the object is gone:", environment.readers().strip())
sys.exit(0 if ended and held and freed else 1)
PYTHON
