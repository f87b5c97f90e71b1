#!/bin/sh
# protobuf 6.33.5 (Python) with opentelemetry-proto 1.40.0: json_format reads a span of OTLP's JSON without complaint, and
# gets its ids wrong.  OTLP has them in hexadecimal (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding);
# json_format takes 32 hexadecimal digits for base 64, which they are too, and makes a trace id of 24 bytes of them instead
# of 16, a span id of 12 instead of 8.  What it writes has ids that no OTLP collector reads.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'protobuf==6.33.5' 'opentelemetry-proto==1.40.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import google.protobuf
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import Span

print("protobuf", google.protobuf.__version__)
sent = '{"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "a span"}'
print("sent    ", sent)
read = json_format.Parse(sent, Span())
print("read as ", len(read.trace_id), "and", len(read.span_id), "bytes:", read.trace_id.hex(), read.span_id.hex())
right = Span(trace_id=bytes.fromhex("0af7651916cd43dd8448eb211c80319c"))
written = json_format.MessageToDict(right)["traceId"]
print("written ", written)
sys.exit(0 if (len(read.trace_id), len(read.span_id)) == (24, 12) and written == "CvdlGRbNQ92ESOshHIAxnA==" else 1)
PYTHON
