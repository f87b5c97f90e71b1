#!/bin/sh
# lxml 6.1.3 (libxml2 2.14): sourceline is right up to line 65534.  Beyond, an element has no line of its own: lxml gives that of
# the text which follows or is in it, and where that text has several lines, the last of them, so that an element in line
# 70001 before 500 empty lines is said to stand in line 70501; one without any text about it is in line 65535.  The
# message of a syntax error has the right line.  Who tells users of a mistake in a long file by sourceline sends them to
# another place, without a sign that it is one.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'lxml==6.1.3'
"$folder/venv/bin/python" - <<'PYTHON'
import sys

from lxml import etree

print("lxml", etree.__version__, "libxml2", ".".join(map(str, etree.LIBXML_VERSION)))


def lines(before):
    text = b"<a>" + b"\n" * before + b"<b/>" + b"\n" * 500 + b"<c><d/></c>" + b"</a>"
    return [element.sourceline for element in etree.fromstring(text)[0].xpath("//b|//c|//d")]


near, far = lines(1000), lines(70000)
print("b, c and d stand in lines 1001, 1501 and 1501:", *near)
print("b, c and d stand in lines 70001, 70501 and 70501:", *far)
try:
    etree.fromstring(b"<a>" + b"\n" * 70000 + b"</b>")
except etree.XMLSyntaxError as error:
    wrong = error.lineno
print("a syntax error in line 70001 is told of line", wrong)
sys.exit(0 if (near, wrong) == ([1001, 1501, 1501], 70001) and far != [70001, 70501, 70501] else "changed")
PYTHON
