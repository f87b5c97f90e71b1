#!/bin/sh
# wrk 4.1: -c is divided by -t and the remainder dropped: `wrk -t4 -c7` says "4 threads and 7 connections" and measures with
# 4.  One more, that asks for nothing, is opened and closed before the run to see that somebody listens: a server that counts
# connections, or lets in so many, has one more than asked for.  h2load with the same numbers opens what it is told.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq wrk=4.1.0-3+b2 libluajit-5.1-2=2.1.0~beta3+git20220320+dfsg-4.1+deb12u1 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
cat > finding.py <<'PYTHON'
import asyncio
import os
import platform
import sys

libraries = f"root/usr/lib/{platform.machine()}-linux-gnu"


async def measured(threads, connections):
    asked = []  # for each connection that came, how many requests

    async def serve(reader, writer):
        number = len(asked)
        asked.append(0)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                asked[number] += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    wrk = await asyncio.create_subprocess_exec(
        *("root/usr/bin/wrk", f"-t{threads}", f"-c{connections}", "-d1s", url),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
    )
    said = (await wrk.communicate())[0].decode().splitlines()[1].strip()
    server.close()
    used = sum(count > 0 for count in asked)
    print(f"-t{threads} -c{connections}: says {said!r}; {used} asked for something, {len(asked) - used} for nothing")
    return used, len(asked) - used


found = [asyncio.run(measured(*each)) for each in ((2, 3), (4, 7), (3, 10), (2, 2))]
sys.exit(0 if found == [(2, 1), (4, 1), (9, 1), (2, 1)] else "changed")
PYTHON
LD_LIBRARY_PATH=root/usr/lib/$(uname -m)-linux-gnu root/usr/bin/wrk -v | head -1 || true
python3 finding.py
