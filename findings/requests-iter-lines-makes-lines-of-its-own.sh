#!/bin/sh
# requests 2.34: iter_lines gives lines that the server did not send.  Where a piece of the stream ends between CR and LF
# there is an empty line, as if an event were over, at a place that depends on the network; and with decode_unicode=True
# a line ends also at U+2028, U+0085 and the like, so that a JSON document of one line, which may hold them as they are,
# comes torn in two.  The whole body, cut by content.splitlines() or text.split("\n"), has neither.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'requests==2.34.2' 'urllib3==2.8.0'
"$folder/venv/bin/python" - <<'PYTHON'
import json
import socket
import sys
import threading

import requests

print("requests", requests.__version__)
DOCUMENT = json.dumps({"text": "one\u2028two\u0085three"}, ensure_ascii=False)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = {b"/torn": [b"first\r", b"\nsecond\r\n"], b"/json": [DOCUMENT.encode() + b"\n"]}


def serve(listener):
    while True:
        client, _ = listener.accept()
        with client, client.makefile("rb") as asked:
            path = asked.readline().split()[1]
            while asked.readline().strip():
                pass
            client.sendall(HEAD)
            for piece in [*PIECES[path], b""]:
                client.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
url = f"http://127.0.0.1:{listener.getsockname()[1]}"

torn = list(requests.get(f"{url}/torn", stream=True).iter_lines(chunk_size=None))
whole = requests.get(f"{url}/torn").content.splitlines()
print("lines of", PIECES[b"/torn"], "are", torn, "- of the whole body", whole)
lines = list(requests.get(f"{url}/json", stream=True).iter_lines(decode_unicode=True))
print("a JSON document of one line is", lines)
sys.exit(torn != [b"first", b"", b"second"] or whole != [b"first", b"second"] or len(lines) != 3)
PYTHON
