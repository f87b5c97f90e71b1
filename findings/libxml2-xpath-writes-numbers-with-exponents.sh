#!/bin/sh
# libxml2 2.14 (lxml 6.1): XPath writes whole numbers from 2^31 - 1 on with an exponent: string(3000000000) is "3e+09", and a
# sum of bytes or a time in milliseconds put into a text by concat() or an attribute template is no number to most who read
# it: taken for an integer it is 3.  XPath 1.0 (4.2) has no exponents: an integer is written as one, and any number with all
# its digits.  Digits beyond the fifteenth are gone: 1732733849123456 is "1.73273384912346e+15".
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'lxml==6.1.3'
"$folder/venv/bin/python" - <<'PYTHON'
import re
import sys

from lxml import etree

print("lxml", etree.__version__, "libxml2", etree.LIBXML_VERSION)
root = etree.fromstring("<files><size>2147483647</size><size>1</size><at>1732733849123456</at></files>")
WANTED = {
    "string(2147483646)": "2147483646",
    "string(sum(size))": "2.147483648e+09",
    "concat('bytes=', 3000000000)": "bytes=3e+09",
    "string(at)": "1732733849123456",
    "string(at + 0)": "1.73273384912346e+15",
    "string(0.000001)": "1e-06",
}
found = {path: root.xpath(path) for path in WANTED}
for path, text in found.items():
    print(f"{path}: {text}")
print("sum(size) itself:", root.xpath("sum(size)"), "- the text, read as an integer:", re.match(r"\d+", found["string(sum(size))"])[0])
print("string(at) = string(at + 0):", root.xpath("string(at) = string(at + 0)"))
sys.exit(found != WANTED or root.xpath("sum(size)") != 2147483648.0)
PYTHON
