"""Where Lua finds compiled code for base 64.  Manual: mtev.base64_encode, mtev.base64_decode."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luamtev.port import Port


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/encodings.lua`` builds on."""
    return {"base64_library": base64_library}


def base64_library() -> str | None:
    """The path of the shared library inside the pybase64 package, which Lua calls without crossing into Python.

    None where the package came without compiled code, or may not be read by the user that the process became."""
    try:
        spec = find_spec("pybase64")
        for folder in (spec and spec.submodule_search_locations) or ():
            for file in sorted(Path(folder).glob("_pybase64*.so")):
                return str(file)
    except OSError:
        pass
    return None
