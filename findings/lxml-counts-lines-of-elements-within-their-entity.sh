#!/bin/sh
# lxml 6.1: Element.sourceline is the line of the file, so messages and editors use it; of an element that an internal entity
# brought it is the line within the entity's text.  What stands at line 9 says 1, or 3, a line of something else, and
# nothing tells the two kinds apart.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'lxml==6.1.3'
"$folder/venv/bin/python" - <<'PYTHON'
import sys

from lxml import etree

DOCUMENT = """<!DOCTYPE hosts [
  <!ENTITY mirror "<host>m</host>

<port>80</port>">
]>
<hosts>
  <host>a</host>
  <host>b</host>
  &mirror;
  <host>c</host>
</hosts>"""

print("lxml", etree.__version__, "libxml2", etree.LIBXML_VERSION)
found = [(each.tag, each.text.strip(), each.sourceline) for each in etree.fromstring(DOCUMENT)]
for tag, text, line in found:
    there = DOCUMENT.splitlines()[line - 1]
    print(f"<{tag}>{text} says line {line}: {there!r}")
lines = [line for _, _, line in found]
sys.exit(lines != [7, 8, 1, 3, 10])
PYTHON
