#!/bin/sh
# lz4 4.4.5 (Python) and lz4 1.9.4 (Debian 12): frames of LZ4 may stand one behind the other, and skippable frames between
# them; the frame format's description has a decoder go on with the next, and the lz4 tool and lz4.frame.open do.
# lz4.frame.decompress takes the first frame and says nothing of the rest, where gzip.decompress reads all members; when the
# first is a skippable frame the result is b"", as if nothing had been sent.
# LZ4FrameDecompressor has the rest in unused_data, so whoever decodes a body must begin again there.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get download -qq lz4=1.9.4-1 2>/dev/null && dpkg -x lz4_*.deb .)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'lz4==4.4.5'
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import gzip
import importlib.metadata
import io
import subprocess
import sys

import lz4.frame

first, second = lz4.frame.compress(b"first "), lz4.frame.compress(b"second")
skippable = bytes.fromhex("502a4d18 04000000") + b"note"
tool = sys.argv[1] + "/usr/bin/lz4"


def by_tool(content):
    return subprocess.run([tool, "-dc"], input=content, capture_output=True, check=True).stdout


print("lz4 (Python)", importlib.metadata.version("lz4"), "liblz4", lz4.library_version_string())
results = []
for name, content in (("two frames", first + second), ("a skippable frame and one", skippable + first)):
    found = lz4.frame.decompress(content), lz4.frame.open(io.BytesIO(content)).read(), by_tool(content)
    print(f"{name}: decompress {found[0]}, open {found[1]}, lz4 -dc {found[2]}")
    results.append(found)
members = gzip.decompress(gzip.compress(b"first ") + gzip.compress(b"second"))
print("two members of gzip:", members)
wanted = [(b"first ", b"first second", b"first second"), (b"", b"first ", b"first ")]
sys.exit(0 if results == wanted and members == b"first second" else "it changed")
PYTHON
