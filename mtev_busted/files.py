"""Finds the spec files of a run, and the configuration in ``.busted``.

Patterns are Lua patterns and ``.busted`` is Lua: both are evaluated in a Lua state of their own, made when needed.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mtev_busted.plan import DEFAULT_LPATH, SYSTEM_CPATH, SYSTEM_LPATH

DEFAULT_PATTERN = "_spec"
CONFIG = ".busted"


class ConfigError(Exception):
    """The configuration file, or a pattern, cannot be used; the message says which and why."""


def find(
    roots: Sequence[str], patterns: Sequence[str] = (), excludes: Sequence[str] = (), *, recursive: bool = True
) -> tuple[list[str], list[str]]:
    """The spec files under *roots*, in order, and what is wrong with the roots, a text each.

    A file counts whatever its name.  In a directory, and those in it that are not hidden, the files count that match
    one of the Lua patterns *patterns* (default: ``*_spec.lua``) and none of *excludes*.  Raises :exc:`ConfigError` for
    a bad pattern.
    """
    wanted = _chooser(patterns, [each for each in excludes if each])
    files: list[str] = []
    problems: list[str] = []
    for root in roots:
        path = Path(root)
        if path.is_file():
            files.append(root)
        elif path.is_dir():
            files += [_joined(root, name) for name in _under(path, wanted, recursive)]
        else:
            problems.append(f"Cannot find file or directory: {root}")
    if not files and not problems:
        problems.append(f"No test files found matching Lua pattern: {', '.join(patterns) or DEFAULT_PATTERN}")
    return list(dict.fromkeys(files)), problems


def _under(root: Path, wanted: Callable[[str], bool], recursive: bool) -> list[str]:
    found = []
    for directory, directories, names in os.walk(root):
        directories[:] = [each for each in directories if not each.startswith(".")] if recursive else []
        found += [str((Path(directory) / name).relative_to(root)) for name in names if wanted(name)]
    return sorted(found)


def _joined(root: str, name: str) -> str:
    return name if root in (".", "./") else root.rstrip("/") + "/" + name


def _chooser(patterns: Sequence[str], excludes: Sequence[str]) -> Callable[[str], bool]:
    if not excludes and set(patterns) <= {DEFAULT_PATTERN}:
        return lambda name: name.endswith("_spec.lua")
    matches = _lua_matcher()

    def wanted(name: str) -> bool:
        return any(matches(name, each) for each in patterns or [DEFAULT_PATTERN]) and not any(
            matches(name, each) for each in excludes
        )

    return wanted


def check_patterns(option: str, patterns: Sequence[str]) -> None:
    """Raise :exc:`ConfigError`, naming *option*, if one of the Lua patterns *patterns* is none."""
    if not any(set(each) & set("[%()") for each in patterns):
        return  # the others have nothing to go wrong
    matches = _lua_matcher()
    for each in patterns:
        try:
            matches("", each)
        except ConfigError as problem:
            raise ConfigError(f"{option} {str(problem).removeprefix('pattern ')}") from None


def _lua_matcher() -> Callable[[str, str], bool]:
    find_in = _state().load(b"return pcall(string.find, ...)", "pattern")

    def matches(name: str, pattern: str) -> bool:
        found = find_in(_bytes(name), _bytes(pattern))
        if not isinstance(found, tuple):
            return False
        ok, first = found[0], found[1] if len(found) > 1 else None
        if not ok:
            raise ConfigError(f"pattern '{pattern}': {_text(first)}")
        return first is not None

    return matches


def config(path: Path, task: str | None, lpath: str | None = None, cpath: str | None = None) -> dict[str, Any]:
    """The options that the file *path* sets for *task* (default: ``default``), those of ``_all`` included.

    What the file requires is looked for in *lpath* and *cpath* first, and where libraries of the system are.

    Values are booleans, numbers, text and lists of text.  Raises :exc:`ConfigError` when the file cannot be read, does
    not return a table of tables or has no such task."""
    try:
        source = path.read_bytes()
    except OSError as failure:
        raise ConfigError(f"{path}: {failure.strerror}") from None
    evaluate = _state().load(
        b"""
        local source, name, lpath, cpath, system_lpath, system_cpath = ...
        package.path = lpath .. ";" .. package.path .. ";" .. system_lpath
        package.cpath = cpath .. ";" .. package.cpath .. ";" .. system_cpath
        local chunk, message = loadstring(source, "@" .. name)
        if not chunk then return false, message end
        return pcall(chunk)
        """,
        "configuration",
    )
    paths = (lpath or DEFAULT_LPATH, cpath or "", SYSTEM_LPATH, SYSTEM_CPATH)
    results = evaluate(source, str(path).encode(), *map(_bytes, paths))
    ok, value = results if isinstance(results, tuple) else (results, None)
    if not ok:
        raise ConfigError(_text(value))
    tasks = _plain(value)
    if not isinstance(tasks, dict) or not all(isinstance(each, dict) for each in tasks.values()):
        raise ConfigError(f"{path}: a table of tables of options is expected")
    if task is not None and task not in tasks:
        raise ConfigError(f"{path}: no task '{task}'")
    return {**tasks.get("_all", {}), **tasks.get(task or "default", {})}


def shuffled(paths: Sequence[str], seed: int) -> list[str]:
    """*paths* in the random order that the runner gives them for *seed*."""
    shuffle = _state().load(
        b"""
        local source, seed, paths = ...
        local list = {}
        for path in paths:gmatch("[^%z]+") do list[#list + 1] = path end
        loadstring(source)().shuffle(list, seed)
        return table.concat(list, "\\0")
        """,
        "shuffle",
    )
    source = (Path(__file__).parent / "lua" / "shuffle.lua").read_bytes()
    return _text(shuffle(source, seed, b"\0".join(map(_bytes, paths)))).split("\0")


def _state() -> Any:
    from luamtev.bridge import Border

    return Border()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    """A Lua value as Python has it: a table is a list when its keys are 1 … n, else a dict by text."""
    if isinstance(value, bytes):
        return _text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if not hasattr(value, "items"):
        raise ConfigError("a configuration holds tables, text, numbers and booleans only")
    items = {key if isinstance(key, int) else _text(key): _plain(inner) for key, inner in value.items()}
    if items and set(items) == set(range(1, len(items) + 1)):
        return [items[i] for i in range(1, len(items) + 1)]
    return items
