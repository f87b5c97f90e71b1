#!/bin/sh
# telnetlib3 5.0.1 (Python): a client that does not speak TELNET options, sends its lines at once and then says that it has
# no more, as `printf 'one\ntwo\n' | nc HOST PORT` does, is never heard.  The server starts its shell when negotiation is
# over; the end of the client's sending comes first and ends the connection, shell and lines with it: no error, no answer
# but the server's own DO TERMINAL-TYPE.  The same bytes from a client that waits with its end get all their answers.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'telnetlib3==5.0.1'
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import importlib.metadata
import sys

import telnetlib3

heard = []


async def shell(reader, writer):
    while line := await reader.readline():
        heard.append(line.strip())
        writer.write(f"heard {line.strip()}\r\n")
        await writer.drain()
        if line.strip() == "two":
            break
    writer.close()


async def client(port, ends_first):
    heard.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"one\r\ntwo\r\n")
    if ends_first:
        writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer, list(heard)


async def main():
    server = await telnetlib3.create_server(host="127.0.0.1", port=0, shell=shell, connect_maxwait=1.0)
    port = server.sockets[0].getsockname()[1]
    results = {}
    for name, ends_first in (("ends its sending at once", True), ("waits with its end", False)):
        answer, lines = results[name] = await client(port, ends_first)
        print(f"a client that {name}: the shell heard {lines}, the client got {answer}")
    return results["ends its sending at once"][1] == [] and results["waits with its end"][1] == ["one", "two"]


print("telnetlib3", importlib.metadata.version("telnetlib3"))
sys.exit(0 if asyncio.run(main()) else "telnetlib3 changed")
PYTHON
