#!/bin/sh
# opentelemetry 1.45: the baggage header is read and written as a form is: "a+b" of another vendor arrives as "a b", and a
# blank goes out as "+".  W3C's Baggage has percent-encoding, in which "+" is a plus: base 64, times with "+01:00" and phone
# numbers come out wrong on either side, without an error.  The properties behind a ";" become part of the value.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'opentelemetry-api==1.45.2'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version
from urllib.parse import unquote

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator

print("opentelemetry-api", version("opentelemetry-api"))
header = "at=2026-11-27T20:00:00+01:00,key=ab+/cd==,plain=x;ttl=5"
read = dict(baggage.get_all(W3CBaggagePropagator().extract({"baggage": header})))
sent = {}
W3CBaggagePropagator().inject(sent, context=baggage.set_baggage("name", "two words"))
others_read = unquote(sent["baggage"].partition("=")[2])
print("header:", header)
print("read:", read)
print("written:", sent["baggage"], "- which others read as", repr(others_read))
sys.exit(
    read != {"at": "2026-11-27T20:00:00 01:00", "key": "ab /cd==", "plain": "x;ttl=5"}
    or sent != {"baggage": "name=two+words"}
    or others_read != "two+words"
)
PYTHON
