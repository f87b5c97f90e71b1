"""Capabilities of the process, through libcap.  Manual: mtev_security_setcaps."""

import ctypes
import os
import sys
from typing import Any


def setcaps(text: str) -> None:
    """Give this thread, and those it starts, the capabilities *text* and no others.

    To be called before there are other threads; the text is libcap's, as in ``cap_net_bind_service=ep`` or ``=``.
    Raises ValueError for a text that it does not understand, PermissionError for capabilities that this process does
    not have, NotImplementedError where there is no libcap.  Manual: ``mtev_security_setcaps``."""
    library = _library()
    wanted = library.cap_from_text(text.encode())
    if not wanted:
        raise ValueError(f"'{text}': expected capabilities such as cap_net_bind_service=ep")
    try:
        if library.cap_set_proc(ctypes.c_void_p(wanted)) != 0:
            raise OSError(ctypes.get_errno(), f"capabilities '{text}': {os.strerror(ctypes.get_errno())}")
    finally:
        library.cap_free(ctypes.c_void_p(wanted))


def getcaps() -> str:
    """The capabilities of this thread, as libcap writes them."""
    library = _library()
    held = library.cap_get_proc()
    text = library.cap_to_text(ctypes.c_void_p(held), None)
    try:
        return ctypes.string_at(text).decode()
    finally:
        library.cap_free(ctypes.c_void_p(text))
        library.cap_free(ctypes.c_void_p(held))


def _library() -> Any:
    name = "libcap.so.2" if sys.platform == "linux" else None
    try:
        if name is None:
            raise OSError
        library = ctypes.CDLL(name, use_errno=True)
    except OSError:
        raise NotImplementedError("capabilities need Linux and libcap") from None
    for each in ("cap_from_text", "cap_get_proc", "cap_to_text"):
        getattr(library, each).restype = ctypes.c_void_p
    return library
