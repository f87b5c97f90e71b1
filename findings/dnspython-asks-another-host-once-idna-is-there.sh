#!/bin/sh
# dnspython 2.9.2 and idna 3.20: which host a name with non-ASCII letters is depends on what else is installed.  Alone,
# dnspython encodes by IDNA 2003, in which "faß.example" is fass.example.  As soon as the package idna is there, which
# requests and others bring along, the same call, with no argument and no warning, encodes by IDNA 2008 and asks for
# xn--fa-hia.example, another registration.  Who needs one of the two says which: idna_codec=dns.name.IDNA_2008 or
# IDNA_2003.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'dnspython==2.9.2'
ask='import dns.name; print(dns.name.from_text("faß.example").to_text())'
alone=$("$folder/venv/bin/python" -c "$ask")
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'idna==3.20'
beside=$("$folder/venv/bin/python" -c "$ask")
echo "dnspython 2.9.2 alone: $alone; beside idna 3.20: $beside"
test "$alone" = fass.example. && test "$beside" = xn--fa-hia.example.
