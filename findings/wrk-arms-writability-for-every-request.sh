#!/bin/sh
# wrk 4.1: for every request it makes two calls of epoll_ctl, one to be told when the socket can be written and one not to be
# told any more, though the socket has been writable all along.  That is four system calls and a share of epoll_wait where
# a server needs two and a share: one thread of wrk cannot ask as often as a quick server can answer, and what it shows of
# several of those is its own rate.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq wrk=4.1.0-3+b2 libluajit-5.1-2=2.1.0~beta3+git20220320+dfsg-4.1+deb12u1 strace=6.1-0.1 \
  libunwind8=1.6.2-3 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
cat > finding.py <<'PYTHON'
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def serve(client):
    with client:
        try:
            while client.recv(4096):
                client.sendall(ANSWER)
        except OSError:  # wrk is done
            pass


def accept(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0), backlog=100)
threading.Thread(target=accept, args=(listener,), daemon=True).start()
strace, wrk = sys.argv[1:]
url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
command = [strace, "-f", "-c", "-o", "counts", wrk, "-t1", "-c8", "-d2s", url]
shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
requests = int(re.search(r"(\d+) requests in", shown)[1])
calls = {line.split()[-1]: int(line.split()[3]) for line in Path("counts").read_text().splitlines()[2:] if line.strip()[:1].isdigit()}
each = {name: calls[name] / requests for name in ("read", "write", "epoll_ctl", "epoll_wait")}
print(f"{requests} requests; calls a request:", ", ".join(f"{name} {count:.2f}" for name, count in each.items()))
sys.exit(not (1.9 < each["epoll_ctl"] < 2.2 and each["read"] < 1.2 and each["write"] < 1.2))
PYTHON
export LD_LIBRARY_PATH="root/usr/lib/$(uname -m)-linux-gnu"
root/usr/bin/wrk -v 2>&1 | head -1 || true
python3 finding.py root/usr/bin/strace root/usr/bin/wrk
