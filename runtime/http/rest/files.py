"""Static files below the listener's document_root.  Manual: REST (document_root).

Configuration of the listener: ``document_root``; ``index_file``, index.html by default; ``mime_type_EXT`` for the
extension EXT; ``dot_files``, whether names that begin with a dot are served.  A path that leads out of the root, also
through a symbolic link, is refused.
"""

import errno
import fcntl
import os
import re
import stat
import sys
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import quote_from_bytes

from runtime import log
from runtime.conf import parse_boolean
from runtime.http.message.request import Request
from runtime.http.message.response import Response
from runtime.http.message.status import http_date

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # a pipe must not block the loop
_SMALL = 64 << 10
"""Bytes of a file that is read at once instead of piece by piece."""

_NOT_ITS_FAULT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
"""Why a file cannot be opened that may well be there."""

_WELL_KNOWN = b"/.well-known/"

_bases: dict[bytes, bytes] = {}

_RANGE = re.compile(rb"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


def simple_file_handler(request: Request, response: Response) -> None:
    """Serve the file that the request's path names.  Manual: ``mtev_rest_simple_file_handler``."""
    config = request.peer.config
    root = config.get("document_root")
    if not root:
        response.error(404)
        return
    serve_file(request, response, root, config)


def serve_file(request: Request, response: Response, root: str, config: Mapping[str, str]) -> None:
    """Serve the file below the directory *root* that the request's path names, or the reason why not."""
    if request.method not in (b"GET", b"HEAD"):
        response.header("Allow", "GET, HEAD")
        response.error(405)
        return
    path = request.path
    if not path:
        response.error(400)
        return
    if _is_hidden(path) and not _shows_hidden(config):
        response.error(403)
        return
    try:
        fd = _open(os.fsencode(root), path, os.fsencode(config.get("index_file") or "index.html"))
    except _Directory:
        query = b"?" + request.query if request.query else b""
        response.status(301)
        response.header("Location", quote_from_bytes(path).encode() + b"/" + query)
        response.flush_end()
        return
    except PermissionError:
        response.error(403)
        return
    except (OSError, ValueError) as failure:
        if isinstance(failure, OSError) and failure.errno in _NOT_ITS_FAULT:
            log.facility("error/rest").log(f"{request!r}: cannot open the file: {failure.strerror}\n")
            response.error(503)
        else:
            response.error(404)
        return
    try:
        _send(request, response, fd, _mime_type(path, config))
    finally:
        os.close(fd)


def check_config(config: Mapping[str, str]) -> None:
    """Raise ValueError for a value that cannot be used here."""
    _shows_hidden(config)


def _is_hidden(path: bytes) -> bool:
    """Whether a name on the way begins with a dot; those of RFC 8615 do not count."""
    return b"/." in (path[len(_WELL_KNOWN) - 1 :] if path.startswith(_WELL_KNOWN) else path)


def _shows_hidden(config: Mapping[str, str]) -> bool:
    text = config.get("dot_files", "false")
    try:
        return parse_boolean(text)
    except ValueError as mistake:
        raise ValueError(f"dot_files '{text}': {mistake}") from None


class _Directory(Exception):
    """The path names a directory and has no slash at its end."""


def _open(root: bytes, path: bytes, index: bytes) -> int:
    """The regular file at *path*.  Raises :exc:`_Directory`, PermissionError when refused, OSError, ValueError."""
    fd = os.open(root + b"/" + path.lstrip(b"/"), _FLAGS)
    try:
        mode = os.fstat(fd).st_mode
        _confine(root, fd)
        if stat.S_ISDIR(mode):
            if not path.endswith(b"/"):
                raise _Directory
            directory, fd = fd, os.open(index, _FLAGS, dir_fd=fd)
            os.close(directory)
            mode = os.fstat(fd).st_mode
            _confine(root, fd)
        if not stat.S_ISREG(mode):
            raise PermissionError
    except BaseException:
        os.close(fd)
        raise
    return fd


def _confine(root: bytes, fd: int) -> None:
    """Raise PermissionError unless what is open as *fd* is below *root*: opened first, so that no link can be changed
    between the look and the opening."""
    found = _path_of(fd)
    base = _bases.get(root)
    if base is None or not _is_below(base, found):
        base = _bases[root] = os.path.realpath(root)  # it may be a link that leads elsewhere now
        if not _is_below(base, found):
            raise PermissionError


def _is_below(base: bytes, found: bytes) -> bool:
    return found == base or found.startswith(base.rstrip(b"/") + b"/")


def _path_of(fd: int) -> bytes:
    """The path, without links, of an open file."""
    if sys.platform == "darwin":
        return fcntl.fcntl(fd, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")
    return os.readlink(b"/proc/self/fd/%d" % fd)  # noqa: PTH115 - bytes


def _send(request: Request, response: Response, fd: int, mime_type: str) -> None:
    status = os.fstat(fd)
    size = status.st_size
    modified = http_date(status.st_mtime)
    tag = b'"%x-%x"' % (status.st_mtime_ns, size)
    response.header("Last-Modified", modified)
    response.header("ETag", tag)
    response.header("Accept-Ranges", "bytes")
    if not _as_expected(request, tag, int(status.st_mtime)):
        response.error(412)
        return
    if _unchanged(request, tag, int(status.st_mtime)):
        response.status(304)
        response.flush_end()
        return
    part = _range(request, tag, modified, size)
    if part is not None:
        offset, length = part
        if not length:
            response.status(416)
            response.header("Content-Range", f"bytes */{size}")
            response.flush_end()
            return
        response.status(206)
        response.header("Content-Range", f"bytes {offset}-{offset + length - 1}/{size}")
    else:
        offset, length = 0, size
    response.header("Content-Type", mime_type)
    if length > _SMALL:
        response.write_fd(fd, length, offset)
    else:
        response.write(os.pread(fd, length, offset))
    response.flush_end()


def _as_expected(request: Request, tag: bytes, modified: int) -> bool:
    """Whether the file is the one that the client has in mind.  RFC 9110, 13.2.2."""
    tags = request.header(b"if-match")
    if tags is not None:
        return tags.strip() == b"*" or tag in [each.strip() for each in tags.split(b",")]
    since = _date(request.header(b"if-unmodified-since"))
    return since is None or modified <= since


def _unchanged(request: Request, tag: bytes, modified: int) -> bool:
    tags = request.header(b"if-none-match")
    if tags is not None:
        return tags.strip() == b"*" or tag in [each.strip().removeprefix(b"W/") for each in tags.split(b",")]
    since = _date(request.header(b"if-modified-since"))
    return since is not None and modified <= since


def _date(text: bytes | None) -> float | None:
    try:
        return None if text is None else parsedate_to_datetime(text.decode("latin-1")).timestamp()
    except (ValueError, OverflowError):
        return None


def _range(request: Request, tag: bytes, modified: bytes, size: int) -> tuple[int, int] | None:
    """The offset and length that were asked for, a length of 0 for a part that is not there; None for all of it.

    Several parts at once get the whole, as RFC 9110 allows."""
    match = _RANGE.fullmatch(request.header(b"range") or b"")
    condition = request.header(b"if-range")
    if match is None or request.method != b"GET" or (condition is not None and condition not in (tag, modified)):
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        length = min(int(last), size)
        return size - length, length
    start = int(first)
    end = int(last) if last else size - 1
    if last and end < start:
        return None
    return start, max(0, min(end, size - 1) - start + 1)


def _mime_type(path: bytes, config: Mapping[str, str]) -> str:
    name = (
        path.rpartition(b"/")[2] if not path.endswith(b"/") else os.fsencode(config.get("index_file") or "index.html")
    )
    extension = os.fsdecode(name.rpartition(b".")[2]) if b"." in name else ""
    configured = config.get(f"mime_type_{extension}")
    if configured:
        return configured
    import mimetypes  # few programs serve files

    return mimetypes.types_map.get(f".{extension.lower()}", "application/octet-stream")
