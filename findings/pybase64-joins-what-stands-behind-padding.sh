#!/bin/sh
# pybase64 1.5.1 and Python's base64: pybase64 has the standard library's functions, faster, and without validate both
# leave out what is no base 64.  They part where padding stands in the middle, as it does when encoded pieces were put one
# behind the other: base64 ends at the padding; pybase64 leaves the padding out and goes on with the bits as they stand, so
# that two encoded "a" make "a" and two bytes that nobody encoded, or an error, depending on the lengths.  With
# validate=True both refuse.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pybase64==1.5.1'
"$folder/venv/bin/python" - <<'PYTHON'
import base64
import importlib.metadata
import sys

import pybase64


def decoded(function, text, **how):
    try:
        return function(text, **how)
    except ValueError as wrong:
        return type(wrong).__name__


print("pybase64", importlib.metadata.version("pybase64"), "Python", sys.version.split()[0])
results = []
for text in (b"YQ==YQ==", b"YQ==YWJj"):
    found = decoded(base64.b64decode, text), decoded(pybase64.b64decode, text)
    strict = decoded(base64.b64decode, text, validate=True), decoded(pybase64.b64decode, text, validate=True)
    print(f"{text}: base64 {found[0]}, pybase64 {found[1]}; with validate {strict}")
    results.append((found, strict))
refused = ("Error", "Error")
wanted = [((b"a", b"a\x06\x10"), refused), ((b"a", "Error"), refused)]
sys.exit(0 if results == wanted else "it changed")
PYTHON
