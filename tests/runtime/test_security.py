"""Capabilities, in processes of their own: what was given up does not come back."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has them")


def run(source: str) -> str:
    code = f"from runtime import security\n{source}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give up")
def test_a_process_keeps_what_it_names_and_no_more() -> None:
    assert run("security.setcaps('cap_net_bind_service=ep'); print(security.getcaps())") == "cap_net_bind_service=ep"
    assert run("security.setcaps('='); print(security.getcaps())") == "="
    refused = run("security.setcaps('='); security.setcaps('cap_chown=ep')")
    assert refused.startswith("PermissionError") and "cap_chown=ep" in refused


def test_a_text_that_is_none_is_named() -> None:
    assert run("security.setcaps('cap_of_nothing=ep')").startswith("ValueError: 'cap_of_nothing=ep': expected")
