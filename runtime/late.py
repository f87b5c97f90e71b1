"""What is imported when it is first used, imported before that becomes impossible.

Start-up is a feature, so slow or rare things are imported inside the functions that need them.  But a process that has
given up its privileges, changed its root, or has no descriptor left may not find them any more.  So whoever gives up
privileges imports them all before, and a process that lives on does so after its start, a little at a time.
"""

import importlib.util
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

OURS = ("runtime", "luamtev", "mtev_busted")

_AT_START = frozenset(("runtime.main", "runtime.services", "runtime.modules", "luamtev.cli", "mtev_busted.cli"))
"""What these import inside functions they do as the process starts, or never."""

_FOR_TYPES = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+.*\n|\n)+", re.MULTILINE)
_LATE = re.compile(r"^[ \t]+(?:from ([\w.]+) import (\([^)]*\)|.*)|import ([\w., ]+))", re.MULTILINE)
_TABLED = re.compile(r'^    "\w+": "(_\w+)",$', re.MULTILINE)  # names of a package, and the file of it that has each

_OF_PYTHON = ("encodings.idna", "encodings.latin_1", "encodings.ascii", "encodings.utf_16", "stringprep")
"""What the interpreter imports by itself, for host names and headers."""

_OF_OTHERS = {"dns.rdata": "load_all_types"}
"""Libraries that import by name when they meet something, and how to have them do so before."""

_done: set[str] = set()
_steps: Iterator[None] | None = None


def import_all() -> None:
    """Import all that the modules imported so far import late, and what those do."""
    for _ in _import():
        pass


def import_some(seconds: float) -> bool:
    """Go on with that for about so many *seconds*; False once nothing is left."""
    global _steps
    if _steps is None:
        _steps = _import()
    deadline = time.monotonic() + seconds
    return any(time.monotonic() >= deadline for _ in _steps)


def _import() -> Iterator[None]:
    """One import a step."""
    while True:
        found = [name for name in list(sys.modules) if name.partition(".")[0] in OURS and name not in _done]
        if not found:
            break
        for name in found:
            _done.add(name)
            for late in _late_imports(name):
                if late not in sys.modules:
                    try:
                        importlib.import_module(late)
                    except ImportError:
                        pass  # a name in a module, or something that this system lacks: who needs it will say so
                    yield

    for name in _OF_PYTHON:
        importlib.import_module(name)
        yield
    for name, loader in _OF_OTHERS.items():
        if name in sys.modules:
            getattr(sys.modules[name], loader)()
            yield


def _late_imports(name: str) -> Iterator[str]:
    """The modules, or names in modules, that functions of module *name* import."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if name in _AT_START or file is None or not file.endswith(".py"):
        return
    package = name if Path(file).name == "__init__.py" else name.rpartition(".")[0]
    text = _FOR_TYPES.sub("", Path(file).read_text(encoding="utf-8"))
    for match in _LATE.finditer(text):
        source, names, plain = match.groups()
        if plain:
            yield from (each.split()[0] for each in plain.split(",") if each.strip())
            continue
        base = importlib.util.resolve_name(source, package) if source.startswith(".") else source
        yield base
        for each in re.sub(r"#.*|[()]", "", names).split(","):
            if each.strip():
                yield f"{base}.{each.split()[0]}"
    if name == package:
        for file_name in dict.fromkeys(_TABLED.findall(text)):
            yield f"{package}.{file_name}"
