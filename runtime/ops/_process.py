"""``/mtev/memory.json``, ``/mtev/heap_profile`` and ``/mtev/rest.json``."""

import ctypes
import ctypes.util
import gc
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from runtime import http
from runtime.http import Request, Response

from ._answer import answer

_SWITCHES = ("opt.prof", "prof.active", "prof.thread_active_init")
PRELOAD = "start the process with jemalloc preloaded (LD_PRELOAD=libjemalloc.so.2)"


def memory(_request: Request, response: Response) -> None:
    """``GET /mtev/memory.json``: jemalloc's statistics where it is preloaded, else what the system knows."""
    statistics = _jemalloc_statistics()
    if statistics is not None:
        answer(response, statistics)
        return
    found: dict[str, Any] = {
        "process": {
            "resident": _resident(),
            "max_resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            * (1 if sys.platform == "darwin" else 1024),
            "python_blocks": sys.getallocatedblocks(),
            "python_gc": list(gc.get_count()),
        },
        "error": f"no allocator statistics: {PRELOAD}",
    }
    answer(response, found)


def heap_profile(request: Request, response: Response) -> None:
    """``GET /mtev/heap_profile?active=true|false&trigger_dump=true``: jemalloc's profiler, turned on or off, asked for
    a dump; or, asked for nothing, how it is set: true, false, or null where this jemalloc has none."""
    mallctl = _symbol("mallctl")
    if mallctl is None:
        answer(response, {"error": f"no heap profiler: {PRELOAD} and MALLOC_CONF=prof:true"}, 501)
        return
    active = request.querystring("active")
    if active is not None:
        if active not in (b"true", b"false"):
            answer(response, {"error": "active: expected true or false"}, 400)
            return
        value = ctypes.c_bool(active == b"true")
        if mallctl(b"prof.active", None, None, ctypes.byref(value), ctypes.c_size_t(1)) != 0:
            answer(response, {"error": "the heap profiler is off: start with MALLOC_CONF=prof:true"}, 409)
            return
    if request.querystring("trigger_dump") == b"true":
        _dump(mallctl, response)
        return
    if active is not None:
        answer(response, {"active": active == b"true"})
    else:
        answer(response, {name: _switch(mallctl, name) for name in _SWITCHES})


def rest(_request: Request, response: Response) -> None:
    """``GET /mtev/rest.json``: what is mounted."""
    answer(
        response,
        [
            {
                "method": each.method.decode("latin-1"),
                "public": each.auth is not http.client_cert_auth,
                "expression": (b"^" + each.base + each.expression.removeprefix(b"^")).decode("utf-8", "replace"),
            }
            for each in http.router.mountpoints
        ],
    )


def _switch(mallctl: Any, name: str) -> bool | None:
    value, size = ctypes.c_bool(), ctypes.c_size_t(1)
    failed = mallctl(name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0))
    return None if failed else value.value


def _dump(mallctl: Any, response: Response) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "heap")  # noqa: PTH118
        name = ctypes.c_char_p(os.fsencode(path))
        if mallctl(b"prof.dump", None, None, ctypes.byref(name), ctypes.c_size_t(ctypes.sizeof(name))) != 0:
            answer(response, {"error": "no dump: start with MALLOC_CONF=prof:true and set active=true"}, 409)
            return
        with open(path, "rb") as dump:
            response.header("Content-Type", "application/x-jemalloc-heap-profile")
            response.write_fd(dump.fileno())
            response.flush_end()


def _jemalloc_statistics() -> Any:
    text = allocator_statistics("J")
    return None if text is None else json.loads(text)


def allocator_statistics(options: str) -> str | None:
    """What jemalloc prints of itself with *options* (``malloc_stats_print``); None where it is not preloaded."""
    show = _symbol("malloc_stats_print")
    if show is None:
        return None
    pieces: list[bytes] = []
    callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)(lambda _closure, text: pieces.append(text))
    show(callback, None, options.encode())
    return b"".join(pieces).decode("utf-8", "replace")


def _symbol(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except AttributeError:
        return None


def _resident() -> int | None:
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()
