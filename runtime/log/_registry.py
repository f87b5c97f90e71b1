"""The streams of the process by name, and those that are built in.  Manual: Logging; Other logging APIs."""

import atexit
import os
from collections.abc import Mapping
from typing import Final, NoReturn

from runtime import trace

from ._base import ENABLED, LogError, say_change, tell_also
from ._facilities import NAMES
from ._file import STDERR, File
from ._memory import Memory
from ._output import HOOKS, set_asynchronous
from ._stream import LogStream, graph_lock, hear
from ._types import NO_CONFIG, LogType, register_later, register_type


class FileSynch(File):
    """A file that is never written behind the caller's back."""

    asynch = False


def _jlog() -> type[LogType]:
    from ._jlog import JlogType

    return JlogType


register_type("file", File)
register_type("file_synch", FileSynch)
register_type("memory", Memory)
register_later("jlog", _jlog)

stderr: Final = LogStream("stderr")
error: Final = LogStream("error")
notice: Final = LogStream("notice")
debug: Final = LogStream("debug")

_facilities: Final = {name: LogStream(name) for name in NAMES}
_streams: dict[str, LogStream] = {}
_point: Final = trace.point("log")

FATAL_TIMEOUT: Final = 10.0
"""Seconds for which the end of the process waits for what is queued, a full pipe nobody reads say."""


def _report(text: str) -> bool:
    """Log that lines were lost; returns whether that leads to descriptor 2."""
    error.log(text)
    return _leads_to_stderr(error)


def _leads_to_stderr(stream: LogStream) -> bool:
    if not stream.get_flags() & ENABLED:
        return False
    own = isinstance(stream.ctx, File) and stream.ctx.path is None and stream.ctx.direct_to == STDERR
    return own or any(_leads_to_stderr(each) for each in stream.outlets)


tell_also(_report)
trace.report_to(error.log)


def init(debug_on: bool = False) -> None:
    """Start afresh: close every file, forget every stream, and set up those that are built in.

    The objects `stderr`, `error`, `notice`, `debug` and every :func:`facility` stay the same; others that were handed
    out write nothing any more.  *debug_on* enables `debug`.  Manual: ``mtev_log_init``."""
    with graph_lock:
        for stream in [*_streams.values()]:
            stream.reset()
        _streams.clear()
        for stream in (stderr, error, notice, debug):
            _streams[stream.name] = stream
            stream.set_flags(ENABLED if stream is not debug or debug_on else 0)
        stderr.set_type("file", fd=STDERR)
        for stream in (error, notice, debug):
            stream.add_outlet(stderr)
        for name, stream in _facilities.items():
            _streams[name] = stream
            stream.set_flags(ENABLED)
            parent = _streams.get(name.rpartition("/")[0])
            if parent is not None:
                stream.add_outlet(parent)


def reset() -> None:
    """The same as :func:`init`: what is left is what a process starts with."""
    init()


def facility(name: str) -> LogStream:
    """The stream *name* of the stack itself, the same object for ever.  Manual: Built-in logging facilities.

    Raises KeyError for a name that is none of :data:`runtime.log.FACILITIES`."""
    return _facilities[name]


def stream_find(name: str) -> LogStream:
    """The stream *name*, made on first use: its outlet is its parent, the name up to the last ``/``, made likewise.

    A name without ``/`` that is not configured has no outlets.
    Raises :exc:`LogError` for an empty name.  Manual: Getting a mtev_log_stream_t."""
    found = _streams.get(name)
    if found is not None:
        return found
    with graph_lock:
        missing = []
        while name and name not in _streams:
            missing.append(name)
            name = name.rpartition("/")[0]
        parent = _streams.get(name)
        for each in reversed(missing):
            say_change("%s: new stream", each)
            stream = LogStream(each)
            _streams[each] = stream
            if parent is not None:
                stream.add_outlet(parent)
            parent = stream
    if parent is None:
        raise LogError("a log stream needs a name")
    return parent


def stream_exists(name: str) -> bool:
    """Whether there is a stream *name*; nothing is made."""
    return name in _streams


def streams() -> tuple[LogStream, ...]:
    """All streams, oldest first."""
    with graph_lock:
        return tuple(_streams.values())


def new_stream(
    name: str,
    type: str | None = None,  # noqa: A002 - the attribute's name
    path: str | os.PathLike[str] | None = None,
    *,
    fd: int | None = None,
    config: Mapping[str, str] = NO_CONFIG,
    later: bool = False,
) -> LogStream:
    """The stream *name* with this *type* and no outlets; one that exists is changed to that, its flags are kept.

    Args: *path* or descriptor *fd* is where a file log writes; the descriptor stays the caller's to close.  *config* is
    what else the type understands, by name.  *later* waits for a type that is not known yet.
    Raises :exc:`LogError`, and changes nothing, for an empty name, an unknown type or what cannot be opened."""
    if not name:
        raise LogError("a log stream needs a name")
    if type is None and (path is not None or fd is not None):
        raise LogError(f"log '{name}': a path or descriptor needs a type")
    with graph_lock:
        stream = _streams.get(name) or LogStream(name)
        stream.set_type(type, None if path is None else os.fspath(path), fd, config, later=later)
        stream.remove_all_outlets()
        _streams[name] = stream
    return stream


def reopen_all() -> list[str]:
    """Reopen every file whose path no longer leads to it; returns those paths.  Manual: ``mtev_log_reopen_all``.

    Raises :exc:`LogError` naming all that failed, once the others are done."""
    return _reopen(streams())


def reopen_type(type: str) -> None:  # noqa: A002 - the attribute's name
    """The same for the streams of one type.  Manual: ``mtev_log_reopen_type``."""
    _reopen(tuple(stream for stream in streams() if stream.type == type))


def _reopen(wanted: tuple[LogStream, ...]) -> list[str]:
    failures, done = [], []
    for stream in wanted:
        try:
            if stream.reopen():
                done.append(str(stream.path))
        except LogError as failure:
            failures.append(str(failure))
    if failures:
        raise LogError("; ".join(failures))
    return done


def follow_all() -> None:
    """Go on in the files that have the streams' paths now: for a process whose files another one rotates or reopens."""
    for stream in streams():
        stream.follow()


def go_asynch() -> None:
    """Write files and jlogs behind the caller's back from now on.  Manual: ``mtev_log_go_asynch``.

    Lines of a stream keep their order; what does not fit into its queue is counted as a write error.  What is queued is
    written when the process ends and when it says :func:`go_synch`."""
    _write_asynchronously(True)


def go_synch() -> None:
    """Write what is queued, and each line at once from now on.  Manual: ``mtev_log_go_synch``."""
    _write_asynchronously(False)


def _write_asynchronously(on: bool) -> None:
    with graph_lock:
        set_asynchronous(on)
    for stream in streams():
        stream.renew_writer()


def listen() -> None:
    """Look whether the trace point ``log`` is heard: then all that is logged comes by, enabled or not."""
    with graph_lock:
        if hear(bool(_point.heard[0])):
            for stream in streams():
                stream.take(stream.route)


def _look() -> None:
    with graph_lock:
        for stream in streams():
            stream.look()


def maintain(now: float) -> None:
    """What is to be done every second, at *now* in seconds since the epoch.

    Files are rotated, old ones removed, repeats counted; and a tracer that listens is noticed.

    Manual: ``mtev_conf_log_init_rotate``."""
    listen()
    for stream in streams():
        stream.maintain(now)


def fatal(stream: LogStream, message: bytes | str) -> NoReturn:
    """Log *message*, write everything that is queued, and abort the process.  Manual: Logging a programming error."""
    stream.log(message)
    for each in streams():
        each.flush(FATAL_TIMEOUT)
    os.abort()


def close_all() -> None:
    """Write what is pending and close every file.  Descriptors that were given, such as 1 and 2, stay open.

    What is logged later is lost, unless :func:`reopen_all` comes first."""
    for stream in streams():
        stream.flush(FATAL_TIMEOUT)
        if stream.ctx is not None:
            stream.ctx.close()


def _forked() -> None:
    graph_lock.release()
    for stream in _streams.values():
        stream.forked()


init()
_point.changed = listen
for _hook in HOOKS:
    _hook.changed = _look
# A child starts with a graph that is not in the middle of a change, and with no lock held by a thread it does not have.
os.register_at_fork(before=graph_lock.acquire, after_in_parent=graph_lock.release, after_in_child=_forked)
atexit.register(lambda: [each.flush(FATAL_TIMEOUT) for each in streams()])
