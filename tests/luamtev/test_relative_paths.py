"""Relative paths in a configuration: below the working directory, else beside the configuration's file."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import Authority

from luamtev.modules.config import search_path

CONFIGURATION = """\
<cli>
  <logs><console_output><outlet name="stderr"/><log name="error"/></console_output></logs>
  <modules>
    <generic image="lua_mtev" name="lua_general">
      <config><directory>lib/?.lua;{{package.path}}</directory><lua_module>{module}</lua_module>
        <lua_function>main</lua_function></config>
    </generic>
  </modules>
  <listeners>
    <listener type="http_rest_api" address="127.0.0.1" port="0" {ssl}>
      <config><document_root>{root}</document_root></config>
      <sslconfig><certificate_file>{certificate}</certificate_file></sslconfig>
    </listener>
  </listeners>
</cli>
"""

MAIN = 'module(..., package.seeall)\nfunction main() print(require("part").name) os.exit(0) end\n'


@pytest.fixture
def run(tmp_path: Path) -> "Callable[..., subprocess.CompletedProcess[str]]":
    """Runs etc/app.conf from work/; neither holds the other."""
    for name in ("etc/lib", "etc/files", "work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/lib/part.lua").write_text('return { name = "beside" }')
    (tmp_path / "etc/lib/app.lua").write_text(MAIN)

    def run(
        module: str = "app", root: str = "files", certificate: str = "none", ssl: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        text = CONFIGURATION.format(module=module, root=root, certificate=certificate, ssl=ssl)
        (tmp_path / "etc/app.conf").write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "luamtev", "-c", "../etc/app.conf"],
            cwd=tmp_path / "work",
            env=os.environ | {"LUA_PATH": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("{mtev.lua_path};{package.path}", "{package.path}"),  # the original's default
        ("/x/?.lua;{mtev.lua_path}", "/x/?.lua"),
        ("{mtev.lua_cpath};/y/?.so;{package.cpath}", "/y/?.so;{package.cpath}"),
        ("{mtev.lua_path}", ""),  # the state's own
        ("/x/?.lua;;/z/?.lua", "/x/?.lua;;/z/?.lua"),
    ],
)
def test_where_the_originals_own_libraries_lie_is_no_place(path: str, left: str) -> None:
    assert search_path(path) == left


@pytest.mark.parametrize("module", ["app", "lib/app.lua"])
def test_what_is_not_here_is_looked_for_beside_the_configuration(
    run: "Callable[..., subprocess.CompletedProcess[str]]", module: str
) -> None:
    done = run(module)
    assert (done.returncode, done.stdout) == (0, "beside\n"), done.stderr


def test_what_is_here_comes_first(run: "Callable[..., subprocess.CompletedProcess[str]]", tmp_path: Path) -> None:
    (tmp_path / "work/lib").mkdir()
    (tmp_path / "work/lib/part.lua").write_text('return { name = "here" }')
    assert run().stdout == "here\n"


def test_what_is_nowhere_ends_the_start_and_is_named(run: "Callable[..., subprocess.CompletedProcess[str]]") -> None:
    done = run(root="pages")
    assert done.returncode == 2
    assert (
        "app.conf:11: <listener>: document_root: there is no directory 'pages' here, nor beside ../etc/app.conf"
        in done.stderr
    )
    done = run(certificate="nothing.pem", ssl='ssl="on"')
    assert done.returncode == 2
    assert "nothing.pem" in done.stderr
    done = run("missing.lua")
    assert done.returncode == 255
    assert "missing.lua" in done.stderr


def test_certificates_are_found_beside_it(
    run: "Callable[..., subprocess.CompletedProcess[str]]", tmp_path: Path
) -> None:
    issued = Authority(tmp_path).issue("localhost")
    (tmp_path / "etc/both.pem").write_bytes(issued.certificate.read_bytes() + issued.key.read_bytes())
    done = run(certificate="both.pem", ssl='ssl="on"')
    assert (done.returncode, done.stdout) == (0, "beside\n"), done.stderr
