#!/bin/sh
# coverage.py 7.17.5 and lcov_cobertura 2.1.1: every function that is in the LCOV file of the one comes twice out of the
# other.  coverage.py writes functions as LCOV 2 does, FN:first line,last line,name; lcov_cobertura reads FN:line,name.  So a
# function `used` that was called is there as "4,used", never called, and as "used", called, in line 0; whoever asks the
# document for functions that were not run, or for a share of them, gets one half at most.  Lines and branches are right.
# coverage.py's own `coverage xml` names no functions.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'coverage==7.17.5' 'lcov_cobertura==2.1.1'
cd "$folder"
cat > measured.py <<'PYTHON'
def used(a, b):
    if a:
        return b
    return a


used(1, 2)
used(0, 2)
PYTHON
venv/bin/coverage run --branch measured.py
venv/bin/coverage lcov --quiet -o measured.info
venv/bin/lcov_cobertura measured.info --output measured.xml
venv/bin/python - <<'PYTHON'
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version

print("coverage", version("coverage"), "lcov_cobertura", version("lcov_cobertura"))
written = [line.strip() for line in open("measured.info") if line.startswith("FN")]
print("LCOV:", *written)
root = ElementTree.parse("measured.xml").getroot()
methods = [
    (each.get("name"), each.get("line-rate"), line.get("number"), line.get("hits"))
    for each in root.iter("method")
    for line in each.iter("line")
]
for name, rate, number, hits in methods:
    print(f"Cobertura: method {name!r}, line {number} run {hits} times, line-rate {rate}")
print("line-rate of all:", root.get("line-rate"))
wanted = [("4,used", "0.0", "1", "0"), ("used", "1.0", "0", "1")]
sys.exit(0 if "FN:1,4,used" in written and methods == wanted else "changed")
PYTHON
