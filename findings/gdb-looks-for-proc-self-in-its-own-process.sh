#!/bin/sh
# gdb 13.1 (Debian 12): a library that a process loaded as /proc/self/fd/N, as is usual for a file of memory, has that
# name in the list of libraries which gdb reads; and gdb opens it as it stands, so "self" is gdb: it takes whatever its own
# descriptor N is for the library, and waits where that is a pipe.  Loaded as /proc/PID/fd/N it is found.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq gdb=13.1-3 libbabeltrace1=1.5.11-1+b2 libipt2=2.0.5-1 libsource-highlight4v5=3.1.9-4.2+b3 \
  libdebuginfod1=0.188-2.1 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH="$folder/root/usr/lib/$(uname -m)-linux-gnu"; export LD_LIBRARY_PATH
root/usr/bin/gdb --version | head -1
echo 'int answer(void) { return 42; }' | cc -shared -fPIC -x c -o library.so -
cat > loads.py <<'PYTHON'
import ctypes
import os
import sys

fd = os.open("library.so", os.O_RDONLY)
os.dup2(fd, 9)
ctypes.CDLL(f"/proc/{sys.argv[1] if len(sys.argv) > 1 else os.getpid()}/fd/9").answer()
print(os.getpid(), flush=True)
sys.stdin.readline()
PYTHON
echo "no library" > other
mkfifo go said
look() {
  python3 loads.py $1 < go > said &
  exec 3> go 4< said
  read -r pid <&4
  root/usr/bin/gdb -p "$pid" -batch -ex 'info symbol answer' 9< other > seen 2>&1 3<&- 4<&- || true
  echo "loaded as /proc/${1:-PID}/fd/9:"; grep -E "not in executable format|answer" seen | sed "s/$pid/PID/g"
  echo >&3
  exec 3>&- 4<&-
  wait
}
look self
grep -q '/proc/self/fd/9.: not in executable format' seen
look
grep -q 'answer in section .text' seen
