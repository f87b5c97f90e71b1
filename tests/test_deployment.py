"""What examples/deploy has: read by the tools it is for, where they are, and by what they would refuse."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from launching import free_ports
from waiting import until

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "examples" / "deploy"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    program = tmp_path / "luamtev"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = (DEPLOY / "luamtev@.service").read_text().replace("/opt/luamtev/bin/luamtev", str(program))
    (tmp_path / "luamtev@.service").write_text(unit)
    command = ["systemd-analyze", "--man=no", "verify", str(tmp_path / "luamtev@hello.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="logrotate is not here")
def test_logrotate_takes_its_file(tmp_path: Path) -> None:
    config = tmp_path / "logrotate.conf"
    config.write_text((DEPLOY / "logrotate.conf").read_text())
    config.chmod(0o644)
    command = ["logrotate", "--debug", "--state", str(tmp_path / "state"), str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr


def test_the_dockerfile_builds_what_is_there_and_runs_it_as_nobody() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [tuple(each.split(maxsplit=1)) for each in lines if each and not each.startswith("#")]
    known = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in steps} == known
    for name, rest in steps:
        if name == "COPY" and not rest.startswith("--from"):
            *sources, _target = rest.split()
            assert all((ROOT / each).exists() for each in sources), rest
        if name == "FROM":
            assert re.match(r"\S+:\d\S*-slim\S*( AS \w+)?$", rest), "an image with its version"
        if name in ("ENTRYPOINT", "CMD"):
            assert all(isinstance(each, str) for each in json.loads(rest)), "no shell between the signal and us"
    final = dict(steps)  # of each the last
    assert final["USER"] == "10001"
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert "/health" in final["HEALTHCHECK"]


def start(port: int, said: Path) -> "subprocess.Popen[bytes]":
    """The program of the container; *said* is the file that it writes to."""
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "luamtev", "-m", "-c", "hello.conf"],
            cwd=DEPLOY,
            env=os.environ | {"PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=out,
        )
    until(lambda: is_served(f"http://127.0.0.1:{port}/health"))
    return process


def is_served(url: str) -> bool:
    try:
        return requests.get(url, timeout=20).status_code == 200
    except requests.ConnectionError:
        return False


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    assert process.wait(60) == 0


def test_what_the_container_runs_says_all_in_json(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    stop(start(port, tmp_path / "said"))
    said = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    assert {"http/access", "error"} <= {each["facility"] for each in said}


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not here")
def test_an_upgrade_loses_no_request(tmp_path: Path) -> None:
    front, *backs = free_ports(3)
    page = (ROOT / "docs" / "deployment.md").read_text()
    match = re.search(r"^    backend hello\n(?:      .*\n)+", page, re.MULTILINE)
    assert match is not None
    backend = match[0].replace("8081", str(backs[0])).replace("8082", str(backs[1]))
    times = "timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
    bind = f"frontend f\n mode http\n bind 127.0.0.1:{front}\n default_backend hello\n"
    (tmp_path / "haproxy.cfg").write_text(f"defaults\n mode http\n {times}{bind}{backend}")
    instances = [start(port, tmp_path / f"{port}") for port in backs]
    balancer = subprocess.Popen(["haproxy", "-q", "-f", str(tmp_path / "haproxy.cfg")], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{front}/hello"
    try:
        until(lambda: is_served(url))
        command = [sys.executable, "-c", CLIENT, url]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "begun\n"
            for at, port in enumerate(backs):
                stop(instances[at])
                instances[at] = start(port, tmp_path / f"{port} again")
            out, _ = client.communicate("over\n", timeout=60)
        counts = json.loads(out)
        assert set(counts) == {"200"}
        assert counts["200"] > 10
    finally:
        balancer.terminate()
        balancer.wait(30)
        for each in instances:
            if each.poll() is None:
                stop(each)


CLIENT = """
import collections, json, select, sys, requests
seen = collections.Counter()
print("begun", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        seen[str(requests.get(sys.argv[1], timeout=30).status_code)] += 1
    except requests.RequestException as failure:
        seen[repr(failure)] += 1
print(json.dumps(seen))
"""
