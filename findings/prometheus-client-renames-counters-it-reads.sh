#!/bin/sh
# prometheus_client 0.26.0 (Python), reading the text format 0.0.4: a counter `requests` comes out as a sample
# `requests_total`, a name that nobody sent and that Prometheus does not store; and when the sample is called
# `requests_total` under `# TYPE requests counter`, as OpenMetrics has it, its type is lost: "unknown", beside a counter
# without samples.  A counter survives in name and type only when TYPE and sample are both called requests_total, and then
# the family is called `requests`.  Tests that read a page with it do not see what a server scrapes.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'prometheus_client==0.26.0'
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

from prometheus_client.parser import text_string_to_metric_families as read

print("prometheus_client", importlib.metadata.version("prometheus_client"))
found = {}
for text in (
    "# TYPE requests counter\nrequests 3\n",
    "# TYPE requests counter\nrequests_total 3\n",
    "# TYPE requests_total counter\nrequests_total 3\n",
):
    found[text] = [(family.name, family.type, [sample.name for sample in family.samples]) for family in read(text)]
    print(repr(text), found[text])
wanted = [
    [("requests", "counter", ["requests_total"])],
    [("requests", "counter", []), ("requests_total", "unknown", ["requests_total"])],
    [("requests", "counter", ["requests_total"])],
]
sys.exit(0 if list(found.values()) == wanted else "prometheus_client changed")
PYTHON
