"""What is imported when it is first used, imported before that becomes impossible.

Start-up is a feature, so slow or rare things are imported inside the functions that need them.  But a process that has
given up its privileges, changed its root, or has no descriptor left may not find them any more.  So whoever gives up
privileges imports them all before, and a process that lives on does so after its start, a little at a time.

A package that imports its own modules late lists their names once, for :func:`names` and :func:`listed`; type checkers,
who see the modules' own names, are told by ``from ._module import *``.
"""

import importlib.util
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

OURS = ("runtime", "luamtev", "mtev_busted")

_AT_START = frozenset(("runtime.main", "runtime.services", "runtime.modules", "luamtev.cli", "mtev_busted.cli"))
"""What these import inside functions they do as the process starts, or never."""

_FOR_TYPES = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+.*\n|\n)+", re.MULTILINE)
_LATE = re.compile(r"^[ \t]+(?:from ([\w.]+) import (\([^)]*\)|.*)|import ([\w., ]+))", re.MULTILINE)

_OF_PYTHON = ("encodings.idna", "encodings.latin_1", "encodings.ascii", "encodings.utf_16", "stringprep")
"""What the interpreter imports by itself, for host names and headers."""

_OF_OTHERS = {"dns.rdata": "load_all_types"}
"""Libraries that import by name when they meet something, and how to have them do so before."""

_lazy: dict[str, Mapping[str, tuple[str, ...]]] = {}
_done: set[str] = set()
_steps: Iterator[None] | None = None


def names(package: str, modules: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """A ``__getattr__`` for *package* which imports the names of its *modules* when they are first asked for."""
    module_of = {name: module for module in modules for name in modules[module]}
    _lazy[package] = modules

    def find(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return find


def listed(modules: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """All names in *modules*, for ``__all__``."""
    return (name for each in modules.values() for name in each)


def imported(name: str) -> Any:
    """The module *name*, None if nobody imported it.

    For who looks at what is made there and nowhere else: without the module there is none of it."""
    return sys.modules.get(name)


def import_all() -> None:
    """Import all that the modules imported so far import late, and what those do."""
    for _ in _import():
        pass


def import_some(seconds: float) -> bool:
    """Go on with that for about so many *seconds*; False once nothing is left.

    A file that cannot be read now, for want of descriptors say, is there for the next call."""
    global _steps
    if _steps is None:
        _steps = _import()
    deadline = time.monotonic() + seconds
    try:
        return any(time.monotonic() >= deadline for _ in _steps)
    except OSError:
        _steps = None
        return True


def _import() -> Iterator[None]:
    """One import a step."""
    while True:
        found = [name for name in list(sys.modules) if name.partition(".")[0] in OURS and name not in _done]
        if not found:
            break
        for name in found:
            for late in _late_imports(name):
                if late not in sys.modules:
                    try:
                        importlib.import_module(late)
                    except ImportError:
                        pass  # a name in a module, or something that this system lacks: who needs it will say so
                    yield
            _done.add(name)

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
        yield from (f"{package}.{module}" for module in _lazy.get(package, ()))
