#!/bin/sh
# h2 4.4.1: a client loses the answers that come behind a GOAWAY.  RFC 9113, 6.8: streams up to the number in it are
# served still, so a server that shuts down gracefully says GOAWAY first and answers what it has afterwards.  h2 takes
# the connection for closed at that frame and raises ProtocolError on the next, though its stream is below the number:
# what was asked, and answered, seems lost.  Servers that want such clients served send what they have before it.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'h2==4.4.1' 'hpack==4.2.0' 'hyperframe==6.1.0'
"$folder/venv/bin/python" - <<'PROGRAM'
import h2.config, h2.connection, h2.exceptions
from hyperframe.frame import GoAwayFrame

client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
client.initiate_connection()
server.initiate_connection()
fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
client.send_headers(1, fields, end_stream=True)
server.receive_data(client.data_to_send())
client.receive_data(server.data_to_send())
client.receive_data(GoAwayFrame(0, last_stream_id=1).serialize())  # stream 1 is going to be answered
server.send_headers(1, [(":status", "200")], end_stream=True)
try:
    client.receive_data(server.data_to_send())
except h2.exceptions.ProtocolError as failure:
    print(f"h2 {h2.__version__}: {failure}")
else:
    raise SystemExit("h2 takes the answer now")
PROGRAM
