"""Jlog: a journal on disk, in segments, that several subscribers read at their own pace.

The format is that of the C library jlog, so either side reads what the other wrote.  One :class:`Writer` a process
appends; any number of :class:`Reader` objects, each for a subscriber, read and checkpoint.  Manual: Log Types, jlog.
"""

from ._browse import START, figures, messages, waiting
from ._format import ALMOST_SAFE, PLAIN, SAFE, UNSAFE, Id, JlogError, Message, Metastore
from ._reader import Reader
from ._store import BEGIN, END, add_subscriber, create, metastore, remove_subscriber, repair, segments, subscribers
from ._writer import Writer

__all__ = [
    "ALMOST_SAFE",
    "BEGIN",
    "END",
    "PLAIN",
    "SAFE",
    "START",
    "UNSAFE",
    "Id",
    "JlogError",
    "Message",
    "Metastore",
    "Reader",
    "Writer",
    "add_subscriber",
    "create",
    "figures",
    "messages",
    "metastore",
    "remove_subscriber",
    "repair",
    "segments",
    "subscribers",
    "waiting",
]
