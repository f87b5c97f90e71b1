"""What is imported late is imported before that becomes impossible."""

import importlib
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_that_functions_import_is_found() -> None:
    missing = python(
        """
        import ast, sys
        from pathlib import Path
        import luamtev.cli, luamtev.modules.lua_general, luamtev.modules.lua_web
        from runtime import late
        late.import_all()

        def inner(tree):
            for node in ast.walk(tree):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    for each in ast.walk(node):
                        if isinstance(each, ast.ImportFrom):
                            yield "." * each.level + (each.module or "")
                        elif isinstance(each, ast.Import):
                            yield from (name.name for name in each.names)

        for name in list(sys.modules):
            file = getattr(sys.modules[name], "__file__", None)
            if name.partition(".")[0] in late.OURS and name not in late._AT_START and file:
                package = name if Path(file).name == "__init__.py" else name.rpartition(".")[0]
                for late_name in inner(ast.parse(Path(file).read_text())):
                    import importlib.util
                    whole = importlib.util.resolve_name(late_name, package) if late_name[0] == "." else late_name
                    if whole not in sys.modules:
                        print(name, whole)
        """
    )
    assert missing == ""


def test_it_can_be_done_a_little_at_a_time() -> None:
    assert (
        python(
            """
        import sys
        import luamtev.modules.lua_general
        from runtime import late
        steps = 0
        while late.import_some(0.001):
            steps += 1
        print(steps > 5, "subprocess" in sys.modules, "dns.rdtypes.IN.A" in sys.modules, late.import_some(1.0))
        """
        )
        == "True True True False\n"
    )


def test_what_cannot_be_read_for_want_of_descriptors_is_imported_once_there_are_some() -> None:
    said = python(
        """
        import errno, io, sys
        import luamtev.modules.lua_general
        from runtime import late

        def without(*_asked, **_more):
            raise OSError(errno.EMFILE, "Too many open files")

        opened, io.open_code = io.open_code, without
        import _io
        _io.open_code = without
        print([late.import_some(0.01) for _ in range(3)], "dns.rdtypes.IN.A" in sys.modules)
        io.open_code = _io.open_code = opened
        while late.import_some(1.0):
            pass
        print("dns.rdtypes.IN.A" in sys.modules)
        """
    )
    assert said == "[True, True, True] False\nTrue\n"


def test_a_short_program_imports_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "main.lua").write_text("function main() os.exit(0) end")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "luamtev", "main.lua"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "runtime.late" in imported
    assert not imported & {"subprocess", "cryptography", "dns", "runtime.http", "runtime.watchdog"}


UNREADABLE = """
import os, sys
from luamtev import cli

class Unreadable:
    def find_spec(self, name, path=None, target=None):
        if os.geteuid() != 0:
            raise ModuleNotFoundError(f"No module named '{name}'")

sys.meta_path.insert(0, Unreadable())
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("options", [["-u", "nobody"], ["-u", "nobody", "-g", "nogroup"], ["-u", "65534"]])
def test_somebody_else_needs_no_file_of_the_interpreter(options: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:  # where others may look, unlike tmp_path
        Path(directory).chmod(0o755)
        Path(directory, "main.lua").write_text(
            """
            local function try(what, f, ...)
              local ok, why = pcall(f, ...)
              if not ok then print(what, why) end
            end
            function main()
              io.stdout:write((select(2, mtev.sh("id -un; id -gn"))))
              try("rsa", mtev.newrsa, 1024)
              try("xml", mtev.parsexml, "<a/>")
              try("gunzip", mtev.gunzip)
              try("pcre", mtev.pcre, "a+")
              try("timezone", mtev.timezone, "Europe/Berlin")
              try("spawn", mtev.spawn, "/bin/true", { "true" }, {})
              try("exec", mtev.exec, "/bin/true", { "true" }, {}, 5)
              try("http", function() return mtev.HttpClient:new():connect("localhost", 1) end)
              try("dns", function() local d = mtev.dns() return d:lookup("127.0.0.1") end)
              os.exit(0)
            end
            """
        )
        done = subprocess.run(
            [sys.executable, "-c", UNREADABLE, *options, "main.lua"],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("nobody\nnogroup\n"), done.stdout + done.stderr
    assert "No module named" not in done.stdout + done.stderr


@pytest.mark.parametrize("package", ["runtime.eventer", "runtime.console"])
def test_every_name_of_a_package_that_imports_late_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert len(set(module.__all__)) == len(module.__all__) > 10
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nonsense'"):
        module.nonsense  # noqa: B018 - asking is all
