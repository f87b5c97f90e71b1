"""Operations on descriptors while somebody listens to their trace points.  Manual: DTrace, Eventer.

What is told of an operation is what C has for arguments.  Bytes that are read are there at the return only.  The result
is the count of bytes or the new descriptor, and -1 where the operation has to wait or failed.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from runtime import trace

from ._event import Event

_accepting: Final = trace.call("eventer-accept")
_reading: Final = trace.call("eventer-read")
_writing: Final = trace.call("eventer-write")
_closing: Final = trace.call("eventer-close")

Data = bytes | memoryview
Read = TypeVar("Read", bytes | int, bytes | None)


def told_accept(fd: int, closure: object, accept: Callable[[], Any]) -> Any:
    """What *accept* returns: a descriptor or a socket with the peer's address, or a mask; told of listening *fd*."""
    result, mask, peer = -1, 0, b""
    _accepting.entry.tell(fd, None, 0, 0, closure)
    try:
        accepted = accept()
        if isinstance(accepted, int):
            mask = accepted
        else:
            made, address = accepted
            result = made if isinstance(made, int) else made.fileno()
            peer = (f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address or "")).encode()
        return accepted
    finally:
        _accepting.leave.tell(fd, peer, len(peer), mask, closure, result)


def told_read(event: Event, size: int, read: Callable[[int], Read]) -> Read:
    """What ``read(size)`` returns: bytes, or a mask or None where there are none yet; told of *event*."""
    result, mask, found = -1, 0, None
    _reading.entry.tell(event.fd, None, size, event.mask, event.closure)
    try:
        data = read(size)
        if isinstance(data, int):
            mask = data
        elif data is not None:
            found, result = data, len(data)
        return data
    finally:
        _reading.leave.tell(event.fd, found, size, mask, event.closure, result)


def told_write(event: Event, data: Data, write: Callable[[Data], tuple[int] | int]) -> tuple[int] | int:
    """What ``write(data)`` returns: a tuple of the count of bytes, or a mask; told of *event*."""
    result, mask = -1, 0
    _writing.entry.tell(event.fd, data, len(data), event.mask, event.closure)
    try:
        written = write(data)
        if isinstance(written, int):
            mask = written
        else:
            (result,) = written
        return written
    finally:
        _writing.leave.tell(event.fd, data, len(data), mask, event.closure, result)


def told_send(event: Event, data: Data, send: Callable[[Data], int]) -> int:
    """What ``send(data)`` returns: the count of bytes; told of *event*."""
    return told_write(event, data, lambda data: (send(data),))[0]  # type: ignore[index]


def told_close(fd: int, event: Event, close: Callable[[], object]) -> None:
    """Call *close*, told of *fd*, which was that of *event*."""
    result = -1
    _closing.entry.tell(fd, event.mask, event.closure)
    try:
        close()
        result = 0
    finally:
        _closing.leave.tell(fd, event.mask, event.closure, result)
