"""The examples, run as README says."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from launching import free_ports
from waiting import listens, until

TOP = Path(__file__).parents[2]


@contextlib.contextmanager
def luamtev(*arguments: str, **environment: str) -> "Iterator[subprocess.Popen[str]]":
    program = subprocess.Popen(
        [sys.executable, "-m", "luamtev", *arguments],
        cwd=TOP,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield program
    finally:
        program.kill()
        program.communicate()


def test_hello_says_it() -> None:
    with luamtev("examples/hello.lua") as program:
        output, _ = program.communicate(timeout=20)
    assert program.returncode == 0
    assert "hello" in output.lower()


@pytest.fixture
def notes() -> Iterator[str]:
    """The address of the running service."""
    port, ops, console = free_ports(3)
    ports = {"PORT": str(port), "OPS_PORT": str(ops), "CONSOLE_PORT": str(console)}
    with luamtev("-c", "examples/web/web.conf", "examples/web/main.lua", **ports) as program:
        assert program.stdout is not None
        lines = [program.stdout.readline() for _ in range(4)]
        assert f"serving notes on port {port}\n" in lines
        assert f"listening on 127.0.0.1:{port} (http_rest_api)\n" in lines
        until(lambda: listens(port))
        assert "<title>ops</title>" in requests.get(f"http://127.0.0.1:{ops}/ops/", timeout=20).text
        yield f"http://127.0.0.1:{port}"
        program.terminate()
        program.communicate(timeout=20)


def test_the_web_service_keeps_notes(notes: str) -> None:
    with requests.Session() as client:
        assert client.get(f"{notes}/notes/").json() == {"notes": []}
        made = client.post(f"{notes}/notes/", json={"text": "first ✓"})
        assert (made.status_code, made.json()["text"]) == (201, "first ✓")
        ident = made.json()["id"]
        for _ in range(20):  # whichever thread answers
            assert requests.get(f"{notes}/notes/{ident}", timeout=10).json() == made.json()
        assert client.get(f"{notes}/notes/").json() == {"notes": {ident: made.json()}}
        head = client.head(f"{notes}/notes/{ident}")
        assert (head.status_code, head.content, head.headers["Content-Type"]) == (200, b"", "application/json")
        assert client.head(f"{notes}/notes/none").status_code == 404
        assert client.post(f"{notes}/notes/", data="{").status_code == 400
        assert client.post(f"{notes}/notes/", data=json.dumps([1])).status_code == 400
        assert client.delete(f"{notes}/notes/{ident}").json() == made.json()
        assert client.get(f"{notes}/notes/{ident}").status_code == 404
        assert client.delete(f"{notes}/notes/{ident}").status_code == 404
        assert client.get(f"{notes}/notes/a/b").status_code == 404
        assert client.put(f"{notes}/notes/{ident}").status_code == 405
        assert "<h1>Notes</h1>" in client.get(f"{notes}/").text


def test_the_dashboard_asks_for_metrics_that_there_are(notes: str) -> None:
    """Of those that a program without lost lines has."""
    requests.get(f"{notes}/notes/", timeout=20)
    served = requests.get(f"{notes}/metrics", timeout=20).text
    dashboard = json.loads((TOP / "examples" / "ops" / "grafana.json").read_text())
    wanted = {name for each in dashboard["panels"] for name in re.findall(r"mtev_\w+", json.dumps(each["targets"]))}
    there = set(re.findall(r"^mtev_\w+", served, re.MULTILINE))
    assert wanted - there <= {"mtev_log_lines_lost_total"}
    assert len(wanted) > 12


def test_the_specs_of_the_examples_pass(tmp_path: Path) -> None:
    """They run the checker and the aggregator as a user would."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "mtev_busted.cli", "examples/spec", "-o", "TAP"],
        cwd=TOP,
        env=os.environ | {"PATH": path, "TMPDIR": str(tmp_path), "JUNIT_OUTPUT_FILE": ""},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nok ") == 4


def test_a_file_of_targets_that_is_wrong_is_told_by_its_line(tmp_path: Path) -> None:
    for text, says in (
        ("a 127.0.0.1:80/\nb 127.0.0.1/\n", "targets:2: expected NAME ADDRESS:PORT/PATH, not b 127.0.0.1/"),
        (None, "targets: No such file or directory"),
    ):
        path = tmp_path / "targets"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        with luamtev("-c", "examples/checker/checker.conf", TARGETS=str(path), PORT="0") as program:
            output, _ = program.communicate(timeout=60)
        assert program.returncode == 255
        assert f"{tmp_path}/{says}" in output
