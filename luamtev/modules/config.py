"""The configuration keys that the Lua modules have in common, as options of a state."""

from collections.abc import Mapping
from math import inf
from pathlib import Path

from luamtev.settings import Options
from runtime import conf
from runtime.conf import parse_boolean

KEYS = (
    "directory", "cpath", "Cpreload", "Cpreloads", "preloads", "gc_full", "gc_step", "gc_stepmul", "gc_pause",
    "interrupt_time", "tragedy_terminates", "full_errors",
)  # fmt: skip
"""What :func:`options` reads."""


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
    return Options(
        directory=search_path(config.get("directory", "").strip()),
        cpath=search_path(config.get("cpath", "").strip()),
        Cpreloads=",".join(filter(None, (config.get("Cpreload"), config.get("Cpreloads")))),
        preloads=config.get("preloads", ""),
        gc_full=_count(config, "gc_full", 0) if "gc_full" in config else Options.gc_full,
        gc_step=_count(config, "gc_step", 0) if "gc_step" in config else Options.gc_step,
        gc_stepmul=_count(config, "gc_stepmul", 1) if "gc_stepmul" in config else None,
        gc_pause=_count(config, "gc_pause", 1) if "gc_pause" in config else None,
        interrupt_time=_seconds(config, "interrupt_time") if "interrupt_time" in config else None,
        tragedy_terminates=boolean(config, "tragedy_terminates", False),
        full_errors=boolean(config, "full_errors", False),
    )


def require_modules(options: Options, **modules: str) -> None:
    """Raises ValueError for one of *modules*, by the key that names it, or of those to load before, that is nowhere."""
    if all(each.startswith("/") and each.endswith(".lua") and Path(each).is_file() for each in modules.values()):
        modules = {}  # as most are: no need to look
    for key, names in (*modules.items(), ("Cpreloads", options.Cpreloads), ("preloads", options.preloads)):
        if names:
            from luamtev import scripts

            for message in scripts.missing(key, names, options):
                raise ValueError(message)


def script_path(module: str) -> str:
    """The name of a Lua module, or the path of one, as found from the configuration."""
    current = conf.current_or_none()
    return module if current is None or not module.endswith(".lua") else current.found(module)


def search_path(path: str) -> str:
    """A Lua path whose relative patterns are tried below the working directory, then beside the configuration."""
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
