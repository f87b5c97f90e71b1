#!/bin/sh
# bpftrace 0.17 (Debian 12): USDT probes of a shared object in a file of memory (memfd_create, then dlopen) are listed by
# -p for as long as some descriptor of the process is that file.  Once the descriptor is closed there are none, without a
# word and with status 0, though the object stays mapped, and /proc/PID/map_files still has a path to it.  So who makes
# probes at run time must keep the descriptor open for ever.
set -e
[ "$(id -u)" = 0 ] || { echo "bpftrace wants root"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq bpftrace=0.17.0-1 libbpfcc=0.26.0+ds-1 libbpf1=1:1.1.2-0+deb12u1 libclang1-14=1:14.0.6-12 \
  libllvm14=1:14.0.6-12 libdw1=0.188-2.1 libelf1=0.188-2.1 libz3-4=4.8.12-3.1 libedit2=3.1-20221030-2 \
  libicu72 libxml2 libbsd0 systemtap-sdt-dev=4.8-2 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
cat > probe.c <<'C'
#include <sys/sdt.h>
void passed(int number) { STAP_PROBE1(finding, passed, number); }
C
cc -shared -fPIC -I root/usr/include -I root/usr/include/"$(uname -m)"-linux-gnu -o probe.so probe.c
cat > loads.py <<'PYTHON'
import ctypes
import os
import sys

fd = os.memfd_create("probe.so")
with open("probe.so", "rb") as file:
    os.write(fd, file.read())
ctypes.CDLL(f"/proc/self/fd/{fd}").passed(7)
for step in ("open", "closed"):
    if step == "closed":
        os.close(fd)
    print(os.getpid(), flush=True)
    sys.stdin.readline()
PYTHON
mkfifo go said
python3 loads.py < go > said &
exec 3> go 4< said
export LD_LIBRARY_PATH="$folder/root/usr/lib/$(uname -m)-linux-gnu:$folder/root/lib/$(uname -m)-linux-gnu"
root/usr/bin/bpftrace --version
listed() { root/usr/bin/bpftrace -p "$pid" -l 'usdt:*:finding:*' > list; echo "status $?, $(wc -l < list) probes: $(cat list)"; }
mapped() { find /proc/"$pid"/map_files -lname '*probe.so*' | wc -l; }
read -r pid <&4
echo "the descriptor is open, $(mapped) mappings:"; listed
open=$(wc -l < list)
echo >&3
read -r pid <&4
echo "it is closed, $(mapped) mappings:"; listed
closed=$(wc -l < list); still=$(mapped)
echo >&3
wait
[ "$open" -eq 1 ] && [ "$closed" -eq 0 ] && [ "$still" -gt 0 ]
