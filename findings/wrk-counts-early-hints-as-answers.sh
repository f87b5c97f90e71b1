#!/bin/sh
# wrk 4.1: an interim response (103 Early Hints, 100 Continue) counts as an answer of its own: a server that sends hints has
# twice the requests a second that it has, and nothing is told.  And an answer that ends with its connection and has no
# length, as HTTP has always allowed, counts as a request and as a read error.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq wrk=4.1.0-3+b2 libluajit-5.1-2=2.1.0~beta3+git20220320+dfsg-4.1+deb12u1 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
cat > finding.py <<'PYTHON'
import re
import socket
import subprocess
import sys
import threading

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ANSWERS = {
    "/plain": OK,
    "/hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + OK,
    "/closed": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
}
served = 0


def serve(client):
    global served
    with client, client.makefile("rb") as asked:
        try:
            while line := asked.readline():
                while asked.readline().strip():
                    pass
                path = line.split()[1].decode()
                served += 1
                client.sendall(ANSWERS[path])
                if path == "/closed":
                    return
        except OSError:  # wrk is done
            pass


def accept(listener):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0), backlog=100)
threading.Thread(target=accept, args=(listener,), daemon=True).start()
ratios, errors = {}, {}
for path in ANSWERS:
    served = 0
    url = f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
    shown = subprocess.run([sys.argv[1], "-t1", "-c1", "-d2s", url], capture_output=True, text=True, check=True).stdout
    counted = int(re.search(r"(\d+) requests in", shown)[1])
    failed = re.search(r"Socket errors: .*read (\d+)", shown)
    ratios[path], errors[path] = counted / served, int(failed[1]) if failed else 0
    print(f"{path}: {served} requests served, {counted} counted, {errors[path]} read errors")
fine = 0.9 < ratios["/plain"] < 1.1 and ratios["/hints"] > 1.8 and errors["/plain"] == errors["/hints"] == 0
sys.exit(not (fine and errors["/closed"] > 0 and 0.9 < ratios["/closed"] < 1.1))
PYTHON
export LD_LIBRARY_PATH="root/usr/lib/$(uname -m)-linux-gnu"
root/usr/bin/wrk -v 2>&1 | head -1 || true
python3 finding.py root/usr/bin/wrk
