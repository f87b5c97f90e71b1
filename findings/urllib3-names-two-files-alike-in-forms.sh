#!/bin/sh
# The name of a file in a form of several parts (RFC 7578, and the HTML standard) cannot always be told from another one's:
# clients write a quote as %22 and a line end as %0D%0A, but leave a percent sign as it is.  So the files a".txt and a%22.txt
# are the same bytes on the wire, and a server that decodes %22 is wrong for one of them, one that does not for the other.
# Decoding nothing but those three, as browsers encode nothing else, is the best that can be had.
set -e
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" -q install --disable-pip-version-check 'urllib3==2.2.3'
cat > "$directory/names.py" <<'PY'
import sys

import urllib3
from urllib3.filepost import encode_multipart_formdata


def sent(name):
    body, _ = encode_multipart_formdata({"up": (name, b"content", "text/plain")}, boundary="b")
    return body


print("urllib3", urllib3.__version__)
quote, percent = sent('a".txt'), sent("a%22.txt")
print("a\".txt   as", quote.splitlines()[1].decode())
print("a%22.txt as", percent.splitlines()[1].decode())
if quote != percent:
    sys.exit("changed: the two differ now")
print("the same bytes for two files")
PY
"$directory/venv/bin/python" "$directory/names.py"
