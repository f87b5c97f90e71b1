#!/bin/sh
# h2load of nghttp2 1.52 (Debian 12), --h1: it connects anew behind an answer that says "Connection: close", but not when a
# connection that was to be kept ends: the requests that this client of the -c still had to send are all "failed" and
# "errored", though nobody was asked, and the rate is that of the short time until then.  A server, or a balancer between, that
# closes idle or old connections without announcing it, as HTTP allows, so seems to fail most of the time.  wrk connects
# again.  The answers that announce their close are counted, their bytes are not: 0 B/s.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq nghttp2-client=1.52.0-1+deb12u3 libnghttp2-14=1.52.0-1+deb12u3 libev4=1:4.33-1 libc-ares2=1.18.1-3 \
  libjansson4=2.14-2 libjemalloc2=5.3.0-1 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
cat > finding.py <<'PYTHON'
import asyncio
import os
import platform
import re
import sys

ENV = {**os.environ, "LD_LIBRARY_PATH": f"root/usr/lib/{platform.machine()}-linux-gnu"}


async def measured(what, most, header):
    served = 0

    async def serve(reader, writer):
        nonlocal served
        left = most
        try:
            while left and await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%b\r\nok" % header)
                left -= 1
                served += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    h2load = await asyncio.create_subprocess_exec(
        *("root/usr/bin/h2load", "--h1", "-n100", "-c4", url), stdout=asyncio.subprocess.PIPE, env=ENV
    )
    said = (await h2load.communicate())[0].decode()
    server.close()
    succeeded, failed = map(int, re.search(r"(\d+) succeeded, (\d+) failed", said).groups())
    bytes_a_second = re.search(r"req/s, (\S+)/s", said)[1]
    print(f"{what}: {served} requests served, {succeeded} succeeded, {failed} failed, {bytes_a_second} a second")
    return served, succeeded, failed, bytes_a_second == "0B"


CASES = (
    ("connections are kept", 1000, b""),
    ("each answer announces its close", 1, b"Connection: close\r\n"),
    ("connections are closed after ten answers", 10, b""),
)
found = [asyncio.run(measured(*each)) for each in CASES]
sys.exit(0 if found == [(100, 100, 0, False), (100, 100, 0, True), (40, 40, 60, False)] else "changed")
PYTHON
LD_LIBRARY_PATH=root/usr/lib/$(uname -m)-linux-gnu root/usr/bin/h2load --version
python3 finding.py
