#!/bin/sh
# opentelemetry-exporter-otlp-proto-http 1.45.2 (Python): a collector behind a proxy that answers 301, 302, 307 or 308 gets
# no span, and the exporter says SUCCESS without a word in the log: it neither follows the redirect nor takes it for a
# failure.  Likewise an answer of 200 whose partial_success says that all spans were rejected, which the protocol wants to
# be told to the user (https://opentelemetry.io/docs/specs/otlp/#partial-success-1).
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  'opentelemetry-sdk==1.45.2' 'opentelemetry-exporter-otlp-proto-http==1.45.2' 2> "$folder/pip" || { cat "$folder/pip"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider

print("opentelemetry-exporter-otlp-proto-http", version("opentelemetry-exporter-otlp-proto-http"))
said, asked, told = (200, b""), [], []


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        asked.append(f"{self.command} {self.path}")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(said[0] if self.path == "/v1/traces" else 200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Location", "/moved")
        self.send_header("Content-Length", str(len(said[1])))
        self.end_headers()
        self.wfile.write(said[1])

    do_GET = do_POST

    def log_message(self, *_):
        pass


class Heard(logging.Handler):
    def emit(self, record):
        told.append(record.getMessage())


logging.getLogger().addHandler(Heard(logging.WARNING))
server = HTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
span = TracerProvider().get_tracer("finding").start_span("a span")
span.end()
rejected = ExportTraceServiceResponse()
rejected.partial_success.rejected_spans = 1
rejected.partial_success.error_message = "too old"
results = {}
for name, said in (
    ("301", (301, b"")),
    ("302", (302, b"")),
    ("307", (307, b"")),
    ("308", (308, b"")),
    ("all rejected", (200, rejected.SerializeToString())),
    ("400", (400, b"")),
):
    asked.clear()
    told.clear()
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{server.server_port}/v1/traces", timeout=5)
    result = exporter.export([span])
    exporter.shutdown()
    results[name] = (result.name, list(asked), bool(told))
    print(f"{name:13} {result.name:8} asked: {', '.join(asked)}; logged: {told or 'nothing'}")
silent = ("SUCCESS", ["POST /v1/traces"], False)
expected = dict.fromkeys(("301", "302", "307", "308", "all rejected"), silent)
expected["400"] = ("FAILURE", ["POST /v1/traces"], True)
sys.exit(0 if results == expected else 1)
PYTHON
