"""The report of a server on itself, when its monitor asks for one or an operator does.

The monitor asks with the same signal as an operator, and says so in the memory that both share; then the report goes
where the monitor keeps what a server leaves when it crashes.
"""

import os

from runtime import log, stacks

from . import _hearts

_fd = -1


def leave_in(fd: int) -> None:
    """For a server that was forked: the monitor reads *fd* once it has ended."""
    global _fd
    _fd = fd


def report() -> None:
    """Say what every thread of this process is doing: to the monitor if it asked, else in the error log."""
    text = stacks.report().encode("utf-8", "replace")
    if not _hearts.is_report_wanted():
        log.error.log(text)
        return
    while text:
        text = text[os.write(_fd, text) :]
    _hearts.report_done()
