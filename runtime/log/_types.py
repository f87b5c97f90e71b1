"""Log types: what a stream with a type writes through.  Manual: Logging, Log Types; Adding custom logging types."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping

from ._base import LogError, say_change, tell
from ._rotate import Retention

NO_CONFIG: Mapping[str, str] = {}


class LogType(ABC):
    """One typed stream's way out.  Created for the stream *name* with its *path*, or with a descriptor *fd*.

    *config* is what the configuration says besides: attributes that are the type's to know, such as rotate_bytes, and
    the keys of ``<config>``.  ``write_errors`` counts the lines that could not be written.  Apart from the constructor
    and :meth:`open`, which raise :exc:`LogError` naming what is wrong, methods are called from any thread, at any time.
    """

    asynch = True
    """Whether lines may be written behind the caller's back when logging goes asynchronous."""

    is_sure = False
    """Whether :meth:`write` raises nothing indeed; what others raise is no affair of those who log."""

    def __init__(self, name: str, path: str | None, fd: int | None, config: Mapping[str, str] = NO_CONFIG) -> None:
        self.name = name
        self.path = path
        self.config = config
        self.write_errors = 0
        self.retention = _retention(name, config)
        self._begun = 0.0  # when what is written to now was begun, epoch seconds; 0 until somebody looks
        self._troubled = False
        self._told = ""
        self.redirected: Callable[[], None] | None = None

    @abstractmethod
    def open(self) -> None:
        """Get ready to write.  Raises :exc:`LogError`."""

    def check(self) -> None:
        """Raises what :meth:`open` would, as far as that can be known without it; nothing is made."""
        return

    def reopen(self) -> bool | None:
        """Write to what now has the path, if it is not the same any more; True when that is so.

        Raises :exc:`LogError`, and goes on as before, when that cannot be opened."""
        return None

    def follow(self) -> None:
        """Write to what now has the path, if somebody else has put another there."""
        return

    @abstractmethod
    def write(self, when: int, line: bytes) -> None:
        """Write one formatted *line*, logged at *when* (nanoseconds since the epoch).  Never raises for a failure."""

    def write_all(self, lines: Iterable[tuple[int, bytes]]) -> None:
        """Write several, in order, each with its time."""
        for when, line in lines:
            self.write(when, line)

    def write_safely(self, when: int, line: bytes) -> None:
        """:meth:`write`, which may raise after all: that is counted, and told when it is not what it was before."""
        try:
            self.write(when, line)
        except Exception as failure:
            self.failed(1, failure)

    def failed(self, count: int, failure: Exception) -> None:
        """*count* lines are lost for *failure*, which the type raised."""
        self.write_errors += count
        told = f"log '{self.name}': {type(failure).__name__}: {failure}\n"
        if told != self._told:
            self._told = told
            tell(told)

    def direct(self) -> int:
        """A descriptor to which a plain line may be written by one system call; -1 when it must go through `write`.

        When the answer changes, the type calls ``self.redirected`` if that is set."""
        return -1

    def size(self) -> int | None:
        """The bytes in what is written to now; None for a type that is not rotated.  Manual: ``sizeop``."""
        return None

    def begun(self) -> float | None:
        """When what is written to now was begun, epoch seconds; None for just now."""
        return None

    def rename(self, target: str) -> bool:
        """Move what was written so far aside, as *target*; :meth:`reopen` follows.  False: not now, try again later.

        Raises OSError or :exc:`LogError`.  Manual: ``renameop``."""
        raise LogError(f"log '{self.name}': this type cannot be moved aside")

    def cull(self, age: int | None, size: int | None, now: float) -> list[str]:
        """Remove of what was moved aside what is older at *now* than *age* seconds, and the oldest beyond *size* bytes.

        Returns what could not be removed, and why.  Manual: ``cullop``."""
        return []

    def maintain(self, now: float) -> None:
        """Called every second, with the time in seconds since the epoch: rotate, remove what is too old."""
        limits = self.retention
        if limits is None or self.path is None:
            return
        try:
            size = self.size()
            if size is None:
                return
            if not self._begun:
                self._begun = self.begun() or now
            if limits.due(size, self._begun, now):
                if not self.rename(f"{self.path}.{int(now)}"):
                    return
                say_change("%s: moved aside as %s.%d", self.name, self.path, int(now))
                self.reopen()
                self._begun = now
            failures = self.cull(limits.retain_seconds, limits.retain_bytes, now)
        except (OSError, LogError) as failure:
            failures = [str(failure)]
        if failures and not self._troubled:
            tell(f"log '{self.name}': cannot rotate {self.path}: {'; '.join(failures)}\n")
        self._troubled = bool(failures)

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that whoever can wait should: :meth:`await_room`."""
        return False

    def await_room(self, function: Callable[[], object]) -> bool:
        """Have *function* called, from any thread, once this is no longer full, or seems to stay so; it must not wait.

        False where there is nothing to wait for: it is not full, or nothing was taken from it for long."""
        return False

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was taken is written, *timeout* seconds at most; returns whether it is."""
        return True

    @abstractmethod
    def close(self) -> None:
        """Write what is pending and let go of everything.  Lines that come later are dropped and counted."""

    def forked(self) -> None:
        """Called in the child after a fork: other threads, and the locks they held, are gone."""
        return


_types: dict[str, "type[LogType] | Callable[[], type[LogType]]"] = {}


def register_type(name: str, log_type: type[LogType]) -> None:
    """Make *log_type* what ``type="NAME"`` means from now on.  Manual: ``mtev_register_logops``."""
    _types[name] = log_type


def register_later(name: str, load: Callable[[], type[LogType]]) -> None:
    """The same with a function that imports the class, for types few programs use."""
    _types[name] = load


def find_type(name: str, stream: str) -> type[LogType]:
    """The class registered as *name*.  Raises :exc:`LogError` naming *stream* when there is none."""
    try:
        found = _types[name]
    except KeyError:
        raise no_type(name, stream) from None
    return found if isinstance(found, type) else found()


def no_type(name: str, stream: str) -> LogError:
    """What to say of a type *name* that nobody registered, for *stream*."""
    return LogError(f"log '{stream}': unknown type '{name}' (known: {', '.join(sorted(_types))})")


def check_type(stream: str, name: str, path: str | None, config: Mapping[str, str]) -> None:
    """Raises the :exc:`LogError` that *stream* would get for type *name* with *path* and *config*; opens nothing."""
    find_type(name, stream)(stream, path, None, config).check()


def known_type(name: str) -> bool:
    """Whether a type *name* was registered."""
    return name in _types


def _retention(name: str, config: Mapping[str, str]) -> Retention | None:
    keys = ("rotate_seconds", "rotate_bytes", "retain_seconds", "retain_bytes")
    limits = {key: whole_number(name, config, key) for key in keys}
    return Retention(**limits) if any(each is not None for each in limits.values()) else None


def whole_number(name: str, config: Mapping[str, str], key: str) -> int | None:
    """The attribute *key* of stream *name*, None when it is missing.  Raises :exc:`LogError` for what is no count."""
    text = config.get(key)
    if text is None:
        return None
    if not text.strip().isdecimal():
        raise LogError(f"log '{name}': {key}='{text}': expected a whole number")
    return int(text)
