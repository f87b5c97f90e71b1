#!/bin/sh
# opentelemetry-propagator-b3 1.45.1 with opentelemetry-sdk 1.45.2 (Python): a request that brings a trace and leaves the
# decision whether to record it to who is asked, which B3 allows by leaving X-B3-Sampled out, is never recorded by the SDK's
# usual sampler (ParentBased, which records all that is new).  The same said in the one header b3 is recorded.  And
# `b3: 0`, B3's way to say "do not record" without a trace, is passed over: the request is recorded.
# https://github.com/openzipkin/b3-propagation#sampling-state-1
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  'opentelemetry-sdk==1.45.2' 'opentelemetry-propagator-b3==1.45.1' 2> "$folder/pip" || { cat "$folder/pip"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.sdk.trace import TracerProvider

for each in ("opentelemetry-sdk", "opentelemetry-propagator-b3"):
    print(each, version(each))
tracer = TracerProvider().get_tracer("finding")
trace, span = "463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312"
many = {"x-b3-traceid": trace, "x-b3-spanid": span}
seen = {}
for name, form, headers in (
    ("no trace", B3MultiFormat(), {}),
    ("many headers, sampled", B3MultiFormat(), {**many, "x-b3-sampled": "1"}),
    ("many headers, no decision", B3MultiFormat(), many),
    ("one header, sampled", B3SingleFormat(), {"b3": f"{trace}-{span}-1"}),
    ("one header, no decision", B3SingleFormat(), {"b3": f"{trace}-{span}"}),
    ("one header, refused", B3SingleFormat(), {"b3": "0"}),
):
    made = tracer.start_span("request", context=form.extract(headers))
    seen[name] = made.is_recording()
    print(f"{name:27}", "recorded" if seen[name] else "not recorded", headers)
    made.end()
expected = dict.fromkeys(seen, True) | {"many headers, no decision": False}
sys.exit(0 if seen == expected else 1)
PYTHON
