"""A configuration that can be changed, saved and read again.  Manual: libmtev Application Configuration.

Every method may be called from any thread.  Changes are in memory until :meth:`Conf.save` writes them to the files they
belong to; :meth:`Conf.tick` does so once nothing has changed for a while.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from lxml import etree

from runtime import hooks, log
from runtime.stamps import stamp

from . import _edit, _files, _load, _values, _write, _xpath
from ._errors import ConfError, line_of
from ._fixup import fix_up
from ._store import ATTRIBUTE, Store
from ._tree import Section, Tree

if TYPE_CHECKING:
    from ._changes import Change

QUIET = 10.0
"""Seconds without a change before changes are written."""

RETRY = 60.0
"""Seconds before it is tried again where that failed."""

DELETE_SECTION = hooks.declare("mtev_conf_delete_section")
"""``(configuration, section)`` before a section is deleted; ABORT keeps it."""

_UNWRITTEN = "cannot reload: there are changes that are not written yet"


class Conf(Tree):
    """One loaded configuration.  Made by :func:`load` and :func:`loads`.

    Attributes: ``root``, the root element; ``name``, the file as the user gave it, for messages; ``file``, its path or
    None; ``includes``; ``generation``, a number that grows with every change; ``lock``, to be held over several steps
    that belong together.
    """

    def __init__(self, root: Section, name: str, includes: list[_load.Include], file: Path | None = None) -> None:
        super().__init__(root, name, includes, file)
        self.generation = 0
        self._app: str | None = None
        self._directory = None if file is None else file.parent
        self._changed_at: float | None = None  # or later, where a save failed
        self._journaled = 0  # the generation that went to the log
        self._refusal = ""
        self._stores = {each.element: each for each in self._find_stores()}
        self._dirty: set[Path | None] = set()
        self._dirty_stores: set[Store] = set()
        self._read = {path: stamp(path) for path in self._paths()}
        self._overrides: list[tuple[str, str]] = []
        self._checks: list[Callable[[Conf], object]] = []
        self._saving = RLock()

    def set_string(self, path: str, value: str) -> bool:
        """Set what *path* ends in, an element or ``@attribute`` of what stands before its last slash.

        Of several matches the last is overwritten; one that is missing is made, under the last match of the base.
        Returns False when the base matches nothing.  Raises :exc:`ConfError`, nothing changed, for a bad path or name,
        and for text that XML cannot hold.  Manual: ``mtev_conf_set_string``."""
        return self._set(path, value, replace=False)

    def replace_string(self, path: str, value: str) -> bool:
        """Delete every match of *path*, then set it.

        Returns and raises as :meth:`set_string`.  Manual: ``mtev.conf_replace_value``."""
        return self._set(path, value, replace=True)

    def set_boolean(self, path: str, value: bool) -> bool:
        """:meth:`set_string` with ``true`` or ``false``."""
        return self.set_string(path, "true" if value else "false")

    def set_integer(self, path: str, value: int) -> bool:
        """:meth:`set_string` with a decimal integer.  Raises :exc:`ConfError` for one beyond 64 bits too."""
        if not _values.INTEGER_MIN <= value <= _values.INTEGER_MAX:
            raise ConfError(f"cannot set {path!r}: the integer does not fit 64 bits")
        return self.set_string(path, str(int(value)))

    def set_float(self, path: str, value: float) -> bool:
        """:meth:`set_string` with the shortest number that reads back the same.

        Raises :exc:`ConfError` for an infinity or NaN too."""
        if value != value or value in (float("inf"), float("-inf")):
            raise ConfError(f"cannot set {path!r}: {value} is no number a configuration can hold")
        return self.set_string(path, repr(float(value)))

    def override(self, path: str, value: str) -> bool:
        """:meth:`set_string` for this process only: it holds after each reload too, and is no change to be written.

        Returns False when its base matches nothing.  Raises :exc:`ConfError` likewise."""
        with self.lock:
            if not self.set_string(path, value):
                return False
            self._overrides.append((path, value))
            self.mark_written()
        return True

    def hold_against(self, check: "Callable[[Conf], object]") -> None:
        """Call *check* with this configuration, which raises :exc:`ConfError`, and :meth:`hold_reloads_against` it."""
        check(self)
        self.hold_reloads_against(check)

    def hold_reloads_against(self, check: "Callable[[Conf], object]") -> None:
        """Have *check* called at each reload with what is to take this one's place.

        When it raises :exc:`ConfError` the reload does too, and changes nothing."""
        self._checks.append(check)

    def remove_section(self, section: Section) -> None:
        """Take *section* out of the tree.

        Raises :exc:`ConfError` for the root, and for an element that is not in this tree.
        Manual: ``mtev_conf_remove_section``."""
        with self.lock:
            if section is self.root or not self._holds(section):
                what = "the root element" if section is self.root else f"<{section.tag}>, which is not in {self.name}"
                raise ConfError(f"cannot remove {what}")
            self._deletable([section])
            self._mark(section.getparent())
            _edit.detach(section)
            self._changed()

    def mark_changed(self, section: Section | None = None) -> None:
        """Have *section*, or all of the configuration, count as changed, as after a set.

        Manual: ``mtev_conf_mark_changed``."""
        with self.lock:
            for each in [*self._include_of, *self._stores, self.root] if section is None else [section]:
                self._mark(each)
            self._changed()

    @contextmanager
    def section_write(self, path: str) -> Iterator[Section | None]:
        """As :meth:`section_read`, to change it: it counts as changed.  Manual: ``mtev_conf_get_section_write``."""
        with self.lock:
            section = self.get_section(path)
            yield section
            if section is not None:
                self.mark_changed(section)

    @property
    def unwritten(self) -> bool:
        """Whether there are changes that :meth:`save` would write."""
        return bool(self._dirty or self._dirty_stores)

    def mark_written(self) -> None:
        """Have the changes made so far count as written: they are of this process only."""
        with self.lock:
            self._dirty.clear()
            self._dirty_stores.clear()
            self._changed_at = None

    def save(self, timeout: float = -1) -> list[Path]:
        """Write each file that something changed in, as a whole or not at all; returns those.

        Includes that are read-only, and a configuration that came from no file, are never written.
        Raises :exc:`ConfError`, once the others are written, naming the file that could not be written or that somebody
        else changed since it was read, or when another thread saves for more than *timeout* seconds (negative: for any
        number).  What failed stays changed.  Nobody holds :attr:`lock` while the disk is waited for, so those who ask
        the configuration never wait for it.  Manual: ``mtev_conf_write_file``."""
        if not self._saving.acquire(timeout=timeout):
            raise ConfError("another thread is still writing it", self.name)
        try:
            return self._save(timeout)
        finally:
            self._saving.release()

    def _save(self, timeout: float) -> list[Path]:
        written: list[Path] = []
        failures: list[ConfError] = []
        if not self.lock.acquire(timeout=timeout):
            raise ConfError("another thread is changing it", self.name)
        try:
            if self._dirty:  # what is left out of a file has to be in its store
                self._dirty_stores |= {each for each in self._stores.values() if not each.exists}
            stores, self._dirty_stores = self._dirty_stores, set()
            shelves = {store: store.serialised() for store in stores}
            dirty, self._dirty = self._dirty, set()
            documents: dict[Path, bytes] = {}
            for include in [*self.includes, None]:
                path = include.path if include else self.file
                if path is not None and path in dirty and not (include and include.read_only):
                    documents[path] = self._document(include)
            self._changed_at = None
        finally:
            self.lock.release()
        for store, shelf in shelves.items():
            try:
                written += store.write(shelf)
            except ConfError as failure:
                failures.append(failure)
                self._dirty_stores.add(store)
        if failures:
            self._dirty |= dirty
        else:
            for path, data in documents.items():
                try:
                    self._replace(path, data)
                    written.append(path)
                except ConfError as failure:
                    failures.append(failure)
                    self._dirty.add(path)
        if failures:
            if self._changed_at is None:
                self._changed_at = time.monotonic() + RETRY - QUIET
            raise ConfError("; ".join(map(str, failures)))
        return written

    def tick(self, now: float | None = None) -> None:
        """Save what changed once QUIET seconds have passed without a change; to be called every second or so.

        The document then goes to the log stream ``config`` too.  A failure is told once in ``error/conf``, and the save
        tried again after RETRY seconds."""
        with self.lock:
            due = (
                self._changed_at is not None and (time.monotonic() if now is None else now) - self._changed_at >= QUIET
            )
            if not due:
                return
            self._changed_at = None
            generation = self.generation
        journal = log.stream_find("config")
        if journal.enabled and generation != self._journaled:
            self._journaled = generation
            journal.log(self.tostring())
        self.save_quietly()

    def save_quietly(self, timeout: float = -1) -> bool:
        """:meth:`save`; a failure is told once in ``error/conf``, and False returned."""
        try:
            self.save(timeout)
        except ConfError as failure:
            if str(failure) != self._refusal:
                self._refusal = str(failure)
                log.stream_find("error/conf").log(f"configuration not saved: {failure}\n")
            return False
        self._refusal = ""
        return True

    def reload(self) -> "list[Change]":
        """Read the files again; sections held from before belong to no tree any more.  Returns what changed.

        Raises :exc:`ConfError`, and the configuration stays as it was, when they cannot be used, when there are changes
        that are not written yet, and for a configuration that came from no file.  Manual: ``mtev_conf_load``."""
        if self.file is None:
            raise ConfError("cannot reload: this configuration came from no file", self.name)
        with self._saving, self.lock:
            if self.unwritten:
                raise ConfError(_UNWRITTEN, self.name)
            fresh = _made(_load.read(self.file), self.name, self.file.parent, self._app, self.file)
            for path, value in self._overrides:
                if not fresh.set_string(path, value):
                    raise ConfError(f"nothing holds {path!r} any more", self.name)
            for check in self._checks:
                check(fresh)
            from . import _changes  # few configurations are read again

            changes = _changes.compare(self, fresh)
            self.root, self.includes, self._include_of = fresh.root, fresh.includes, fresh._include_of
            self._stores, self._read, self._changed_at = fresh._stores, fresh._read, None
            self.generation += 1
        return changes

    def _set(self, path: str, value: str, replace: bool) -> bool:
        base_path, last = _edit.split(path)
        _edit.check_text(path, value)
        with self.lock:
            bases = _xpath.elements(base_path, self.root)
            if not bases:
                return False
            # Parentheses, so that a union of bases has what was asked for under each of them.
            found = _xpath.evaluate(f"({base_path})/{last}", self.root, smart=True)
            owner = None if replace else _edit.owner(found)
            if replace:
                matched = found if isinstance(found, list) else []
                self._deletable([each for each in matched if isinstance(each, etree._Element)])
                for each in matched:
                    self._mark(_edit.owner([each]))
                _edit.delete(found)
            # A base can be a match too (//a/a), and so be gone by now; the outermost never is.
            base = owner if owner is not None else next(filter(self._holds, reversed(bases)))
            _edit.put(base, last, value)
            self._mark(base)
            self._changed()
        return True

    def _deletable(self, sections: list[Section]) -> None:
        for section in sections:
            if DELETE_SECTION.invoke(self, section) == hooks.ABORT:
                raise self.error(f"<{section.tag}> must not be deleted", section)

    def _mark(self, section: Section | None) -> None:
        """Have the file that *section* is written to count as changed."""
        if section is None:
            return
        for each in (section, *section.iterancestors()):
            if each in self._stores:
                self._dirty_stores.add(self._stores[each])
                return
            if each in self._include_of:
                self._dirty.add(self._include_of[each].path)
                return
        self._dirty.add(self.file)

    def _document(self, include: _load.Include | None) -> bytes:
        """The file of *include*, or the main one, as it is to be."""
        if include is None:
            return _write.document(self.root, self._include_of, self._stores)
        return _write.included(include, self._include_of, self._stores)

    def _replace(self, path: Path, data: bytes) -> None:
        if stamp(path) != self._read.get(path):
            raise ConfError("somebody else changed it since it was read; it is left as it is", path)
        _files.replace(path, data)
        self._read[path] = stamp(path)

    def _paths(self) -> list[Path]:
        return [include.path for include in self.includes] + ([self.file] if self.file else [])

    def _find_stores(self) -> list[Store]:
        stores = []
        for element in _xpath.elements(f"//*[@{ATTRIBUTE}][not(ancestor::*[@{ATTRIBUTE}])]", self.root):
            directory = element.get(ATTRIBUTE)
            if not directory or element is self.root:
                what = "the root element cannot have one" if directory else "expected the name of a directory"
                raise self.error(f"<{element.tag}> {ATTRIBUTE}: {what}", element)
            if any(each in self._include_of for each in element.iter()):
                raise self.error(f"<{element.tag}> {ATTRIBUTE}: what is kept there cannot include files", element)
            include = self.include_of(element)
            base = include.path.parent if include else self._directory
            if base is None and not Path(directory).is_absolute():
                raise self.error(f"<{element.tag}> {ATTRIBUTE}: there is no directory to find it from", element)
            store = Store(element, (base or Path()) / fix_up(directory, element, f"@{ATTRIBUTE}"))
            store.load(_load.parse)
            stores.append(store)
        return stores

    def _holds(self, element: Section) -> bool:
        return element is self.root or any(each is self.root for each in element.iterancestors())

    def _changed(self) -> None:
        self.generation += 1
        self._changed_at = time.monotonic()
        self.includes = [include for include in self.includes if self._holds(include.element)]
        self._include_of = {include.element: include for include in self.includes}
        gone = [each for each in self._stores if not self._holds(each)]
        for each in gone:
            self._dirty_stores.discard(self._stores.pop(each))


def load(path: str | os.PathLike[str], app: str | None = None) -> Conf:
    """Load the configuration in the file *path*, with what it includes.

    Args: *app*, the name that the root element must have.
    Raises :exc:`ConfError` with the file and line.  Manual: ``mtev_conf_load``."""
    file = Path(path)
    return _made(_load.read(file), str(path), file.parent, app, file)


def loads(
    data: bytes, name: str = "<memory>", directory: str | os.PathLike[str] | None = None, app: str | None = None
) -> Conf:
    """Load the configuration *data*, XML.

    Args: *name* for messages; *directory* that relative includes start from; *app* as in :func:`load`.
    Raises :exc:`ConfError` with the name and line."""
    return _made(data, name, None if directory is None else Path(directory), app)


def _made(data: bytes, name: str, directory: Path | None, app: str | None, file: Path | None = None) -> Conf:
    root = _load.parse(data, name)
    if app is not None and root.tag != app:
        raise ConfError(f"the root element is <{root.tag}>, expected <{app}>", name, line_of(root))
    configuration = Conf(root, name, _load.splice(root, name, directory, file), file)
    configuration._app = app
    return configuration
