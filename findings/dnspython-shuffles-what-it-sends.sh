#!/bin/sh
# dnspython 2.9: to_wire of one and the same message gives other bytes each time: the records of a set go out shuffled,
# though the message lists them, and to_text shows them, in the order they were given.  Who compares, caches or signs what
# a server of his own sends, or relies on the first address being the preferred one, is deceived in a way that shows only
# with two records or more, and then only sometimes.  Reading keeps the order of the wire; a record that stands there
# twice comes once, and every record has the least of the TTLs.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'dnspython==2.9.2'
"$folder/venv/bin/python" - <<'PYTHON'
import struct
import sys

import dns.message
import dns.rrset
import dns.version

print("dnspython", dns.version.version)
GIVEN = [f"192.0.2.{number}" for number in range(1, 9)]
message = dns.message.make_response(dns.message.make_query("a.test.", "A", id=1))
message.answer.append(dns.rrset.from_text("a.test.", 60, "IN", "A", *GIVEN))
wires = {message.to_wire() for _ in range(100)}
texts = {message.to_text() for _ in range(100)}
kept = [record.address for record in message.answer[0]] == GIVEN
print(f"100 times to_wire: {len(wires)} different messages; to_text: {len(texts)}; the order given is kept: {kept}")

head = bytearray(dns.message.make_response(dns.message.make_query("a.test.", "A", id=1)).to_wire())
head[6:8] = struct.pack("!H", 3)  # answers


def record(ttl, last):
    return b"\xc0\x0c" + struct.pack("!HHIH4B", 1, 1, ttl, 4, 192, 0, 2, last)


[read] = dns.message.from_wire(bytes(head) + record(300, 2) + record(300, 2) + record(5, 1)).answer
print("records of 300, 300 and 5 seconds are read as", read.to_text().splitlines())
sys.exit(
    not (len(wires) > 50 and len(texts) == 1 and kept)
    or read.to_text().splitlines() != ["a.test. 5 IN A 192.0.2.2", "a.test. 5 IN A 192.0.2.1"]
)
PYTHON
