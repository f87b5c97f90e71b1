"""A server among clients of all kinds, a third of them cancelled or hostile: every answer right, nothing left behind.

In ``make soak`` for ten minutes (SOAK_SECONDS), with memory, descriptors and a probe's waits besides.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from launching import free_port
from waiting import until
from webprogram import Web, secure_listener

CLIENTS = Path(__file__).parents[1] / "mixedclients.py"
KINDS = ("http1", "http2", "websocket", "hostile")
SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
ABOVE, FATAL = 0.25, 1.0  # seconds that the probe may wait more than on an idle server

SERVICE = """
local acts = {}
function acts.echo(http, request) http:write(request:querystring("id")) end
function acts.sum(http, request) http:write(("%d"):format(mtev.crc32(request:payload()) % 2^32)) end
function acts.slow(http) mtev.sleep(0.05) http:write("slow") end
function acts.big(http) for _ = 1, 50 do http:write(("b"):rep(65536)) if not http:flush() then return end end end
function acts.fail() error("as asked") end
function acts.compute(http)
  local ending = os.clock() + 0.002
  while os.clock() < ending do end
  http:write("computed")
end
function handler(rest)
  local http = rest:http()
  local act = acts[http:request():uri():match("^/(%w+)$")]
  if not act then return end
  act(http, http:request())
  http:flush_end()
end
websocket = {
  message = function(ws, opcode, payload)
    if ws:request():uri() == "/ws/slow" then mtev.sleep(0.05) end
    ws:send(opcode, payload)
  end,
}
"""
MOUNTS = "<mount_get>web:GET:/</mount_get><mount_post>web:POST:/</mount_post><mount_ws>web:WS:/ws/</mount_ws>"


def serving(web: Web) -> int:
    """The program, serving; the port of its TLS."""
    authority = Authority(web.directory)
    issued = authority.issue("localhost", "localhost")
    tls_port = free_port()
    web.start(
        SERVICE,
        settled=True,
        web=MOUNTS,
        listeners=secure_listener(tls_port, issued),
    )
    came = ended(begin(web, tls_port, "http1", 1000, 1.0), 1.0)  # so that all there is has been opened
    assert came["wrong"] == []
    return tls_port


def begin(web: Web, tls_port: int, kind: str, seed: int, seconds: float) -> "subprocess.Popen[str]":
    plan = {"kind": kind, "port": web.port, "tls_port": tls_port, "seed": seed, "seconds": seconds}
    return subprocess.Popen([sys.executable, str(CLIENTS), json.dumps(plan)], stdout=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]", seconds: float) -> Any:
    said, _ = process.communicate(timeout=seconds + 120)
    assert process.returncode == 0
    return json.loads(said)


def descriptors_settle(web: Web, most: int) -> None:
    until(lambda: web.descriptors() <= most, lambda: f"{web.descriptors()} descriptors, {most} before")


def test_clients_of_all_kinds_get_their_answers(web: Web) -> None:
    tls_port = serving(web)
    before = web.descriptors()
    clients = [begin(web, tls_port, kind, seed, 4.0) for seed, kind in enumerate(KINDS)]
    for kind, process in zip(KINDS, clients, strict=True):
        came = ended(process, 4.0)
        assert came["wrong"] == [], kind
        assert came["right"] == came["asked"] > 0
    descriptors_settle(web, before + 2)
    assert web.stop() == 0


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 600)
def test_a_server_among_clients_of_all_kinds_stays_as_it_was(web: Web) -> None:
    tls_port = serving(web)
    before = web.descriptors()
    idle = percentile(ended(begin(web, tls_port, "probe", 0, 20.0), 20.0)["times"])
    began = time.monotonic()
    kinds = (*KINDS, "probe")
    clients = [begin(web, tls_port, kind, seed, SECONDS) for seed, kind in enumerate(kinds)]
    resident: list[int] = []
    open_ones: list[int] = []
    while time.monotonic() < began + SECONDS:
        time.sleep(min(5.0, SECONDS / 20))
        resident.append(web.resident())
        open_ones.append(web.descriptors())
    waits: list[float] = []
    counts = {}
    for kind, process in zip(kinds, clients, strict=True):
        came = ended(process, SECONDS)
        assert came["wrong"] == [], kind
        counts[kind] = came["right"]
        waits += came["times"]
    busy = percentile(waits)
    report = {
        "answers": counts,
        "p99.9 of the probe, ms, idle": round(idle * 1e3, 1),
        "p99.9 of the probe, ms, busy": round(busy * 1e3, 1),
        "longest, ms": round(max(waits) * 1e3, 1),
        "resident, MB, after a minute and at the end": [thirds(resident)[0] >> 20, thirds(resident)[1] >> 20],
        "descriptors, likewise": list(thirds(open_ones)),
    }
    print(json.dumps(report))
    (web.directory / "soak.json").write_text(json.dumps(report))
    descriptors_settle(web, before + 2)
    first, last = thirds(resident)
    assert last < first * 1.1 + (8 << 20), report
    first, last = thirds(open_ones)
    assert last < first * 1.5 + 50, report
    assert busy - idle < FATAL, report
    if busy - idle > ABOVE:
        print(f"the probe waited {busy - idle:.3f} s more than on the idle server, {ABOVE} s are aimed at")


def percentile(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.999)]


def thirds(samples: list[int]) -> tuple[int, int]:
    """What was used at most in the first and the last third of the time, but for its first tenth, a minute of ten."""
    steady = samples[len(samples) // 10 :]
    third = len(steady) // 3
    return max(steady[:third]), max(steady[-third:])
