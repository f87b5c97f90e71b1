"""Writing without waiting: what a descriptor takes now, whoever else has it open, and in whatever mode it is.

A pipe or a terminal that was handed to the process is shared with others, so it stays as it is: making it non-blocking
would change it for them too.
"""

import errno
import os
import select
from typing import Final

_NOWAIT: Final = getattr(os, "RWF_NOWAIT", None)
_CANNOT: Final = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ESPIPE}


def write_now(fd: int, data: bytes) -> int:
    """Write as much of *data* as *fd* takes without waiting, all of it or nothing up to PIPE_BUF bytes on a pipe.

    Returns how many bytes that were.  Raises BlockingIOError when it takes none, OSError for failures."""
    if _NOWAIT is not None:
        try:
            return os.pwritev(fd, (data,), -1, _NOWAIT)
        except OSError as failure:
            if failure.errno not in _CANNOT:
                raise
    if os.isatty(fd):
        try:
            terminal = os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            pass  # not ours to open any more
        else:
            try:
                return os.write(terminal, data)
            finally:
                os.close(terminal)
    if not takes(fd, 0):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return os.write(fd, data[: select.PIPE_BUF])


def takes(fd: int, seconds: float) -> bool:
    """Wait until *fd* takes more, or is broken, *seconds* at most; returns whether it does."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))
