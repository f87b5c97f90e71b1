"""The configuration keys that the Lua modules have in common, as options of a state."""

import re
from collections.abc import Callable, Iterator, Mapping
from math import inf
from pathlib import Path

from luamtev.settings import Options
from runtime import conf
from runtime.conf import parse_boolean

KEYS = (
    "directory", "cpath", "Cpreload", "Cpreloads", "preloads", "gc_full", "gc_step", "gc_stepmul", "gc_pause",
    "interrupt_time", "interrupt_mode", "tragedy_terminates", "full_errors",
)  # fmt: skip
"""What :func:`options` reads."""

_ALWAYS_OPEN = {"LuaMtevDirect", "hostcli"}
"""Openers that the configuration which the original generates names: what they open, ``arg`` and ``ENV`` among it, is
always there."""

_OWN = re.compile(r"\{mtev\.lua_c?path\};?")


def boolean(config: Mapping[str, str], key: str, default: bool) -> bool:
    """The truth of *key*.  Raises ValueError for a value that is neither true nor false."""
    if not config.get(key):
        return default
    try:
        return parse_boolean(config[key])
    except ValueError as mistake:
        raise ValueError(f"{key}: {mistake}") from None


def options(config: Mapping[str, str]) -> Options:
    """The options of a state.  Raises ValueError naming the key whose value is unusable."""
    if config.get("interrupt_mode", "error").strip() != "error":
        mode = config["interrupt_mode"]
        raise ValueError(f"interrupt_mode: '{mode}' is not there, expected error: what runs for too long ends")
    return Options(
        directory=search_path(config.get("directory", "").strip()),
        cpath=search_path(config.get("cpath", "").strip()),
        Cpreloads=_openers(config.get("Cpreload", ""), config.get("Cpreloads", "")),
        preloads=config.get("preloads", ""),
        gc_full=_count(config, "gc_full", 0) if "gc_full" in config else Options.gc_full,
        gc_step=_count(config, "gc_step", 0) if "gc_step" in config else Options.gc_step,
        gc_stepmul=_count(config, "gc_stepmul", 1) if "gc_stepmul" in config else None,
        gc_pause=_count(config, "gc_pause", 1) if "gc_pause" in config else None,
        interrupt_time=_seconds(config, "interrupt_time") if "interrupt_time" in config else None,
        tragedy_terminates=boolean(config, "tragedy_terminates", False),
        full_errors=boolean(config, "full_errors", False),
    )


def _openers(*lists: str) -> str:
    names = (name.strip() for each in lists for name in each.split(","))
    return ",".join(name for name in names if name and name not in _ALWAYS_OPEN)


def absent(options: Options) -> Iterator[str]:
    """What to say of modules to load before all others that are nowhere, from the key on that names them."""
    from luamtev import scripts  # for those who ask

    yield from scripts.missing("Cpreloads", options.Cpreloads, options)
    yield from scripts.missing("preloads", options.preloads, options)


_OURS = re.compile(r"^luamtev/[\w/]+\.lua:\d+: ")  # where this program requires what the user has written
_OF_KEY = (
    (re.compile(r"(?=module '.*' has no function )"), "lua_function: "),
    (re.compile(r"(?=module '.*' not found)"), "lua_module: "),
    (re.compile(r"(?=Cpreloads: |preloads: )"), ""),
)


def told(failure: str, whence: Callable[[str], str]) -> str:
    """*failure* of Lua, which may end with a traceback, in one line up to there; and, where it is the configuration's
    fault, with the key that is to blame and, from *whence*, its file and line."""
    message, traceback, rest = failure.partition("\nstack traceback:")
    line = _OURS.sub("", " ".join(message.split()))  # culprits and places are looked for by line
    for pattern, key in _OF_KEY:
        if pattern.match(line):
            line = whence(pattern.sub(key, line, count=1))
            break
    return line + traceback + rest


def script_path(module: str) -> str:
    """The name of a Lua module, or the path of one, as found from the configuration."""
    current = conf.current_or_none()
    return module if current is None or not module.endswith(".lua") else current.found(module)


def search_path(path: str) -> str:
    """A Lua path whose relative patterns are tried below the working directory, then beside the configuration.

    ``{mtev.lua_path}`` and ``{mtev.lua_cpath}`` are where the original's own libraries lie; here they need no place."""
    path = _OWN.sub("", path).rstrip(";")
    current = conf.current_or_none()
    if current is None or current.file is None:
        return path
    beside = current.file.parent.absolute()
    if beside == Path.cwd():
        return path
    patterns = path.split(";")
    relative = [each for each in patterns if each and not each.startswith(("/", "{"))]
    return ";".join([*patterns, *(f"{beside}/{each}" for each in relative)])


def _count(config: Mapping[str, str], key: str, least: int) -> int:
    text = config[key].strip()
    if not text.isdecimal() or not least <= int(text) < 2**31:
        raise ValueError(f"{key}: '{config[key]}' is no whole number of {least} or more")
    return int(text)


def _seconds(config: Mapping[str, str], key: str) -> float:
    try:
        seconds = float(config[key])
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < inf:
        raise ValueError(f"{key}: '{config[key]}' is no time in seconds above 0")
    return seconds
