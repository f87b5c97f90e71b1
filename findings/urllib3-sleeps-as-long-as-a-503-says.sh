#!/bin/sh
# urllib3 2.8: a plain request that gets a 503 (or 413, 429) with a Retry-After sleeps as long as that says and asks again,
# three times, though nobody asked for retries of statuses and the default has none in its list; the request's timeout does
# not bound it.  Retry-After: 3600 of a proxy in maintenance holds the calling thread, or all of gevent's hub where nothing
# is patched, for three hours.  Without the header the 503 is handed on at once.  requests, which turns this off, hands it
# on, too.  retries=False, or Retry(respect_retry_after_header=False), is what one wants.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'urllib3==2.8.0' 'requests==2.34.2'
"$folder/venv/bin/python" - <<'PYTHON'
import http.server
import sys
import threading
import time

import requests
import urllib3

print("urllib3", urllib3.__version__, "requests", requests.__version__)
asked = []


class Busy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked.append(self.path)
        self.send_response(503)
        if self.path == "/later":
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
WAYS = {
    "urllib3, no Retry-After": lambda: urllib3.request("GET", f"{url}/now", timeout=0.3).status,
    "urllib3, Retry-After: 1, timeout=0.3": lambda: urllib3.request("GET", f"{url}/later", timeout=0.3).status,
    "urllib3, the same with retries=False": lambda: urllib3.request("GET", f"{url}/later", retries=False).status,
    "requests, Retry-After: 1": lambda: requests.get(f"{url}/later", timeout=0.3).status_code,
}
seen = {}
for name, way in WAYS.items():
    asked.clear()
    began = time.monotonic()
    status = way()
    seen[name] = status, len(asked), round(time.monotonic() - began) >= 3
    print(f"{name}: {status} after {len(asked)} requests and {time.monotonic() - began:.1f} seconds")
sys.exit(list(seen.values()) != [(503, 1, False), (503, 4, True), (503, 1, False), (503, 1, False)])
PYTHON
