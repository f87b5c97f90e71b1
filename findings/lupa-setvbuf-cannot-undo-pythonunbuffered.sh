#!/bin/sh
# lupa 2.8 (LuaJIT in Python) on glibc, with PYTHONUNBUFFERED=1, which images of containers often set: CPython takes C's
# buffer of stdout away, too, so that io.write of Lua makes a system call for each piece.  A good guess:
# io.stdout:setvbuf("full", 65536) gives it a buffer again.
# Seen: it returns true, and each io.write but the first is two system calls now, of one byte and of the rest: glibc keeps the
# buffer of one byte that an unbuffered stream has, for Lua hands setvbuf no memory of its own.  Texts that two processes
# write to one pipe come torn apart behind their first byte.  setvbuf of C with a buffer, by ffi, does what was asked for.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check lupa==2.8
cat > "$folder/child.py" <<'PYTHON'
import sys

from lupa.luajit21 import LuaRuntime

lua = LuaRuntime()
if sys.argv[1] == "setvbuf":
    assert lua.eval('io.stdout:setvbuf("full", 65536)')
elif sys.argv[1] == "ffi":
    lua.execute("""
      local ffi = require("ffi")
      ffi.cdef("int setvbuf(void *, void *, int, size_t); void *malloc(size_t);")
      ffi.C.setvbuf(io.stdout, ffi.C.malloc(65536), 0, 65536)
    """)
lua.execute('for i = 1, 3 do io.write("hello ") end io.stdout:flush()')
PYTHON
cat > "$folder/parent.py" <<'PYTHON'
import os
import platform
import socket
import subprocess
import sys

import lupa

print("lupa", lupa.__version__, "on", *platform.libc_ver())
seen = {}
for unbuffered in ("", "1"):
    for way in ("nothing", "setvbuf", "ffi"):
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # a packet for each write
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        subprocess.run([sys.executable, sys.argv[1], way], stdout=theirs, env=environment, check=True)
        theirs.close()
        writes = []
        while data := mine.recv(65536):
            writes.append(data)
        seen[unbuffered, way] = writes
        print(f"PYTHONUNBUFFERED={unbuffered or ' '} {way:8} {writes}")
whole = [b"hello hello hello "]
torn = [b"hello ", *[b"h", b"ello "] * 2]
sys.exit(not (seen["", "setvbuf"] == seen["1", "ffi"] == whole and seen["1", "setvbuf"] == torn))
PYTHON
"$folder/venv/bin/python" "$folder/parent.py" "$folder/child.py"
