#!/bin/sh
# ngh2 0.3: a stream that was answered whole and is then reset with NO_ERROR, as RFC 9113 8.1 has it for a request whose
# body is not wanted, loses the answer, when nothing was taken from the connection in between: only the reset is sent.
# h2 sends what it was given in the order it was given.  (libnghttp2 makes frames when they are taken, resets first.)
# And a window does not shrink by what was given to be sent, only by what was taken.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'ngh2==0.3.0' 'h2==4.3.0' 'hpack==4.1.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import h2.config
import h2.connection
import ngh2
from hpack import Encoder

print("ngh2", ngh2.__version__, "h2", h2.__version__)
NAMES = {0: "DATA", 1: "HEADERS", 3: "RST_STREAM", 4: "SETTINGS", 8: "WINDOW_UPDATE"}
HEAD = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def kinds(data):
    found = []
    while data:
        size = 9 + int.from_bytes(data[:3], "big")
        found.append(NAMES[data[3]])
        data = data[size:]
    return found


OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 4, 1, Encoder().encode(HEAD))

mine = ngh2.Connection(ngh2.Role.SERVER)
mine.initiate_connection()
mine.receive_data(OPENING)
mine.data_to_send()
before = mine.stream_remote_window_size(1)
mine.send_response(1, [(b":status", b"403")])
mine.send_data(1, b"no", end_stream=True)
given = mine.stream_remote_window_size(1)
mine.reset_stream(1, 0)
of_ngh2 = kinds(mine.data_to_send())

theirs = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
theirs.initiate_connection()
theirs.receive_data(OPENING)
theirs.data_to_send()
theirs.send_headers(1, [(":status", "403")])
theirs.send_data(1, b"no", end_stream=True)
theirs.reset_stream(1, 0)
of_h2 = kinds(theirs.data_to_send())

print("ngh2 sends", of_ngh2)
print("h2 sends", of_h2)
print("window of the stream before and after 2 bytes were given to ngh2:", before, given)
sys.exit(not (of_ngh2 == ["RST_STREAM"] and of_h2 == ["HEADERS", "DATA", "RST_STREAM"] and before == given))
PYTHON
