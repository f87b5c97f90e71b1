"""The content of a response as its handler gave it: pieces of bytes and parts of files, read as they are sent."""

import errno
import fcntl
import os
import stat
from collections import deque

PIECE = 64 << 10
"""Bytes that are read of a file at a time."""


class Part:
    """A part of a file that is still to be sent."""

    __slots__ = ("fd", "left", "offset")

    def __init__(self, fd: int, offset: int, left: int) -> None:
        self.fd, self.offset, self.left = fd, offset, left


class Content(deque[bytes | Part]):
    """What is still to be sent, in order."""

    __slots__ = ()

    def append_file(self, fd: int, size: int | None, offset: int) -> None:
        """Append *size* bytes of the file *fd* from *offset* on, None for all; *fd* may be closed at once.

        Raises OSError for no file, ValueError for a part that it does not have."""
        state = os.fstat(fd)
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.ESPIPE, "expected a regular file")
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
            raise OSError(errno.EBADF, "expected a file open for reading")
        length = state.st_size
        left = length - offset if size is None else size
        if offset < 0 or left < 0 or offset + left > length:
            raise ValueError(f"a file of {length} bytes has no {left} bytes at {offset}")
        if left:
            self.append(Part(os.dup(fd), offset, left))

    def length(self) -> int:
        """Bytes in all."""
        return sum(piece.left if isinstance(piece, Part) else len(piece) for piece in self)

    def is_in_memory(self) -> bool:
        """Whether no part of it is in a file."""
        return all(piece.__class__ is bytes for piece in self)

    def take(self) -> bytes:
        """The next bytes, some of them where they are in a file; none for a file that has fewer than it had."""
        piece = self[0]
        if not isinstance(piece, Part):
            self.popleft()
            return piece
        data = os.pread(piece.fd, min(PIECE, piece.left), piece.offset)
        piece.offset += len(data)
        piece.left -= len(data)
        if not data or not piece.left:
            os.close(piece.fd)
            self.popleft()
        return data

    def drop(self) -> None:
        """Forget all of it."""
        while self:
            piece = self.popleft()
            if isinstance(piece, Part):
                os.close(piece.fd)
