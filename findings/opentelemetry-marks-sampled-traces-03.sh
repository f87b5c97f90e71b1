#!/bin/sh
# opentelemetry-sdk 1.45 writes the flags of a traceparent as 03, not 01: beside "sampled" it sets the bit of W3C's level 2
# that says the id is random, and with a sampler that drops everything it writes 02, not 00.  Who compares the flags with
# "01", or takes all but "00" for sampled, as many a parser does that was made for level 1, drops what is to be kept and
# keeps what is to be dropped: only the lowest bit tells.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'opentelemetry-sdk==1.45.2'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

print("opentelemetry-sdk", version("opentelemetry-sdk"))


def flags(sampler):
    carrier = {}
    with TracerProvider(sampler=sampler).get_tracer("finding").start_as_current_span("root"):
        TraceContextTextMapPropagator().inject(carrier)
    return carrier["traceparent"].rpartition("-")[2]


def passed_on(given):
    """What comes of flags that somebody else gave a trace."""
    carrier = {}
    parent = TraceContextTextMapPropagator().extract({"traceparent": f"00-{'a' * 32}-{'b' * 16}-{given}"})
    with TracerProvider().get_tracer("finding").start_as_current_span("child", context=parent):
        TraceContextTextMapPropagator().inject(carrier)
    return carrier["traceparent"].rpartition("-")[2]


on, off = flags(ALWAYS_ON), flags(ALWAYS_OFF)
kept = {given: passed_on(given) for given in ("00", "01", "03")}
print("a new trace that is sampled:", on, "and one that is not:", off, "- others' flags become", kept)
sys.exit((on, off, kept) != ("03", "02", {"00": "00", "01": "01", "03": "03"}))
PYTHON
