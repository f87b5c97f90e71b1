#!/bin/sh
# curl 7.88.1 (Debian 12): over HTTP/2, when a server answers an upload with an error before its end, curl takes the
# status and says "HTTP error before end of send, stop sending".  It does not reset the stream: it ends it as if the body
# were whole, with END_STREAM after 65,535 of the 3,000,000 bytes that its content-length announced.  To a server that
# checks lengths (RFC 9113 8.1.1) the request is malformed, after it was answered; that must not cost the connection.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
version=7.88.1-10+deb12u15
(cd "$folder" && apt-get download -qq "curl=$version" "libcurl4=$version" 2>/dev/null && for each in *.deb; do dpkg -x "$each" .; done)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'h2==4.3.0'
head -c 3000000 /dev/zero > "$folder/body"
LD_LIBRARY_PATH="$(dirname "$(find "$folder/usr/lib" -name 'libcurl.so.4' | head -1)")" \
  "$folder/venv/bin/python" - "$folder" <<'PYTHON'
import socket
import subprocess
import sys
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions

folder = sys.argv[1]
listener = socket.create_server(("127.0.0.1", 0))
seen = []


def serve():
    sock, _ = listener.accept()
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    sock.sendall(server.data_to_send())
    while data := sock.recv(65536):
        try:
            events = server.receive_data(data)
        except h2.exceptions.InvalidBodyLengthError as short:
            seen.append((short.expected_length, short.actual_length))
            return
        for event in events:
            if isinstance(event, h2.events.RequestReceived):
                server.send_headers(event.stream_id, [(":status", "404")], end_stream=True)
            elif isinstance(event, h2.events.DataReceived):
                server.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        sock.sendall(server.data_to_send())


threading.Thread(target=serve, daemon=True).start()
url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
command = [f"{folder}/usr/bin/curl", "-sS", "-v", "--http2-prior-knowledge", "--max-time", "20", "-w", "%{http_code} "]
done = subprocess.run([*command, "-X", "PUT", "--data-binary", f"@{folder}/body", url], capture_output=True, text=True)
print(subprocess.run([f"{folder}/usr/bin/curl", "-V"], capture_output=True, text=True).stdout.splitlines()[0])
print("status:", done.stdout.strip(), "exit:", done.returncode)
print("said:", [line for line in done.stderr.splitlines() if "stop sending" in line])
print("bytes announced, and sent when the stream was ended:", seen)
sys.exit(not (done.stdout == "404 " and done.returncode == 0 and seen == [(3000000, 65535)]))
PYTHON
