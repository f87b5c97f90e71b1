#!/bin/sh
# thriftpy2 0.7: the default value of a list or map in the interface file is one object for all structs: what one instance
# appends is in every instance that is made later, and goes out with it.  (Apache's generated code makes each its own.)
# And of what the file says, "required" is not looked at when a struct is written: it goes out without the field, and the
# peer refuses it; a string that is no UTF-8 comes back as bytes, so that the type of a field depends on its content.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'thriftpy2==0.7.1'
cat > "$folder/span.thrift" <<'THRIFT'
struct Span {
  1: list<string> tags = ["service"],
  2: map<string, string> notes = {},
  3: optional string name
}
struct Batch {
  1: required string process,
  2: required list<Span> spans
}
THRIFT
"$folder/venv/bin/python" - "$folder/span.thrift" <<'PYTHON'
import sys

import thriftpy2
from thriftpy2.utils import deserialize, serialize

span = thriftpy2.load(sys.argv[1], module_name="span_thrift")
print("thriftpy2", thriftpy2.__version__)
first = span.Span(name="first")
first.tags.append("slow")
first.notes["user"] = "alice"
second = span.Span(name="second")
print("a span that was made afresh:", second.tags, second.notes)
sent = deserialize(span.Span(), serialize(second))
print("on the wire:", sent.tags, sent.notes)
partial = deserialize(span.Batch(), serialize(span.Batch(spans=[])))
print("a batch without its required process is written, and read as", partial)
names = [deserialize(span.Span(), serialize(span.Span(name=name))).name for name in ("good", b"\xff")]
print("names come back as", [type(name).__name__ for name in names])
sys.exit(
    (sent.tags, sent.notes) != (["service", "slow"], {"user": "alice"})
    or partial.process is not None
    or [type(name) for name in names] != [str, bytes]
)
PYTHON
