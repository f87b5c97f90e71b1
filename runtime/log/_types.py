"""Log types: what a stream with a type writes through.  Manual: Logging, Log Types; Adding custom logging types."""

from abc import ABC, abstractmethod

from ._base import LogError


class LogType(ABC):
    """One typed stream's way out.  Created for the stream *name* with its *path*, or with a descriptor *fd*.

    ``write_errors`` counts the lines that could not be written.  Apart from the constructor and :meth:`open`, which
    raise :exc:`LogError` naming what is wrong, methods are called from any thread, at any time.
    """

    def __init__(self, name: str, path: str | None, fd: int | None) -> None:
        self.name = name
        self.path = path
        self.write_errors = 0

    @abstractmethod
    def open(self) -> None:
        """Get ready to write.  Raises :exc:`LogError`."""

    def reopen(self) -> None:
        """Write to what now has the path, if it is not the same any more.

        Raises :exc:`LogError`, and goes on as before, when that cannot be opened."""
        return

    @abstractmethod
    def write(self, when: int, line: bytes) -> None:
        """Write one formatted *line*, logged at *when* (nanoseconds since the epoch).  Never raises for a failure."""

    @abstractmethod
    def close(self) -> None:
        """Write what is pending and let go of everything.  Lines that come later are dropped and counted."""

    def forked(self) -> None:
        """Called in the child after a fork: other threads, and the locks they held, are gone."""
        return


_types: dict[str, type[LogType]] = {}


def register_type(name: str, log_type: type[LogType]) -> None:
    """Make *log_type* what ``type="NAME"`` means from now on.  Manual: ``mtev_register_logops``."""
    _types[name] = log_type


def find_type(name: str, stream: str) -> type[LogType]:
    """The class registered as *name*.  Raises :exc:`LogError` naming *stream* when there is none."""
    try:
        return _types[name]
    except KeyError:
        raise LogError(f"log '{stream}': unknown type '{name}' (known: {', '.join(sorted(_types))})") from None
