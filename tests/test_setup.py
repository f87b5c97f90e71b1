"""Setting up: what `make` says to a Python that is too old, and that wheel and sdist hold the whole program.

The interpreters tried are those of this machine, 3.11 and later."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = 'function main() print("up", #mtev.uuid()) os.exit(0) end'

OLD = f"""#!{sys.executable}
import sys
assert sys.argv[1] == "-c", "nothing but the question for the version"
sys.version_info = ({{major}}, {{minor}}, 1, "final", 0)
exec(sys.argv[2])
"""


@pytest.mark.parametrize("version", [(3, 10), (3, 6), (2, 7)])
def test_make_says_at_once_that_a_python_is_too_old(tmp_path: Path, version: tuple[int, int]) -> None:
    python = tmp_path / "old-python"
    python.write_text(OLD.format(major=version[0], minor=version[1]))
    python.chmod(0o755)
    done = make("run", f"PYTHON={python}", f"VENV={tmp_path}/venv")
    assert done.returncode != 0
    first = done.stderr.splitlines()[0]
    assert first.startswith(f"luamtev needs Python 3.11 or later: {python} is {version[0]}.{version[1]};")
    assert not (tmp_path / "venv").exists()


def test_make_names_a_python_that_is_not_there(tmp_path: Path) -> None:
    done = make("run", "PYTHON=no-such-python", f"VENV={tmp_path}/venv")
    assert done.returncode != 0
    assert "no-such-python" in done.stderr
    assert not (tmp_path / "venv").exists()


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["make", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel built from what the sdist unpacks to."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(directory.glob("*.tar.gz")), next(directory.glob("*.whl"))


def test_wheel_and_sdist_hold_every_file_of_the_packages(built: tuple[Path, Path]) -> None:
    sdist, wheel = built
    with tarfile.open(sdist) as opened:
        in_sdist = {name.split("/", 1)[1] for name in opened.getnames() if "/" in name}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True)
    names = {name for name in tracked.stdout.splitlines() if (ROOT / name).exists()}
    assert {name for name in names if name.startswith(("luamtev/", "mtev_busted/", "runtime/"))} - in_wheel == set()
    assert names - in_sdist - {".gitignore"} == set()


def test_the_wheel_runs_from_where_it_was_installed(built: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(built[1])]
    subprocess.run(pip, check=True, timeout=120)
    environment = os.environ | {"PYTHONPATH": str(target)}
    where = [sys.executable, "-c", "import luamtev; print(luamtev.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert found.stdout.startswith(str(target))
    assert runs([str(target / "bin" / "luamtev")], tmp_path, environment)


@pytest.mark.soak  # fetches every dependency anew
def test_the_wheel_installs_and_runs_on_every_interpreter_here(built: tuple[Path, Path], tmp_path: Path) -> None:
    for version, python in interpreters().items():
        venv = tmp_path / version
        subprocess.run([python, "-m", "venv", str(venv)], check=True, timeout=120)
        subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", str(built[1])], check=True, timeout=600)
        assert runs([str(venv / "bin" / "luamtev")], tmp_path, dict(os.environ)), version


def runs(command: list[str], directory: Path, environment: dict[str, str]) -> bool:
    (directory / "up.lua").write_text(PROGRAM)
    done = subprocess.run(
        [*command, "up.lua"], cwd=directory, env=environment, capture_output=True, text=True, timeout=60
    )
    return (done.returncode, done.stdout, done.stderr) == (0, "up\t36\n", "")


def interpreters() -> dict[str, str]:
    """The interpreters of this machine that luamtev supports: by version, one each."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for version in ("3.11", "3.12", "3.13", "3.14"):
        candidates = [f"python{version}", *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
        for python in candidates:
            try:
                asked = subprocess.run([python, "--version"], capture_output=True, text=True, timeout=60)
            except OSError:
                continue
            if asked.returncode == 0 and asked.stdout.startswith(f"Python {version}."):
                found.setdefault(version, python)
    return found
