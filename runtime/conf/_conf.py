"""The configuration as a tree that is asked by XPath.  Manual: libmtev Application Configuration.

A section is an lxml element; None stands for the document, in which relative paths start at the root element.  Every
method may be called from any thread.  Changes are in memory until :meth:`Conf.save` writes them to the files they
belong to; :meth:`Conf.tick` does so once nothing has changed for a while.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from lxml import etree

from runtime import hooks, log
from runtime.stamps import stamp

from . import _edit, _environment, _files, _inherit, _load, _values, _write, _xpath
from ._errors import ConfError, line_of
from ._fixup import fix_up, look_up
from ._store import ATTRIBUTE, Store

QUIET = 10.0
"""Seconds without a change before changes are written."""

DELETE_SECTION = hooks.declare("mtev_conf_delete_section")
"""``(configuration, section)`` before a section is deleted; ABORT keeps it."""

_WORD = re.compile(r"[\w.-]+")
_UNWRITTEN = "cannot reload: there are changes that are not written yet"

if TYPE_CHECKING:
    from ._changes import Change

Section = etree._Element

_T = TypeVar("_T")


class Conf:
    """One loaded configuration.  Made by :func:`load` and :func:`loads`.

    Attributes: ``root``, the root element; ``name``, the file as the user gave it, for messages; ``file``, its path or
    None; ``includes``; ``generation``, a number that grows with every change; ``lock``, to be held over several steps
    that belong together.
    """

    def __init__(
        self, root: "etree._Element", name: str, includes: list[_load.Include], file: Path | None = None
    ) -> None:
        self.name = name
        self.file = file
        self.generation = 0
        self.lock = RLock()
        self._app: str | None = None
        self._directory = None if file is None else file.parent
        self._changed_at: float | None = None
        self._refusal = ""
        self.root = root
        self.includes = includes
        self._include_of = {include.element: include for include in includes}
        self._stores = {each.element: each for each in self._find_stores()}
        self._dirty: set[Path | None] = set()
        self._dirty_stores: set[Store] = set()
        self._read = {path: stamp(path) for path in self._paths()}
        self._overrides: list[tuple[str, str]] = []
        self._checks: list[Callable[[Conf], object]] = []
        self._mistakes: list[ConfError] | None = None
        self._saving = RLock()

    def __repr__(self) -> str:
        return f"<Conf {self.name} <{self.root_name}>>"

    @property
    def root_name(self) -> str:
        """The name of the root element, which is the application's."""
        return str(self.root.tag)

    @property
    def tree(self) -> "etree._ElementTree":
        """The whole document."""
        return self.root.getroottree()

    def get_section(self, path: str, section: Section | None = None) -> Section | None:
        """The first element that *path* matches, or None.

        Raises :exc:`ConfError` for a bad XPath or one that selects no elements.  Manual: ``mtev_conf_get_section``."""
        return next(iter(self.get_sections(path, section)), None)

    def get_sections(self, path: str, section: Section | None = None) -> list[Section]:
        """The elements that *path* matches, in document order.

        Raises :exc:`ConfError` for a bad XPath or one that selects no elements.  Manual: ``mtev_conf_get_sections``."""
        with self.lock:
            return _xpath.elements(path, self._context(section))

    def get_string(self, path: str, section: Section | None = None) -> str | None:
        """The text of *path*, after fix-up: of an element its content; of several matches the last; of none None.

        With ``ancestor-or-self::node()/@name`` the last match is the nearest ancestor.
        Raises :exc:`ConfError` for a bad XPath.  Manual: ``mtev_conf_get_string``."""
        with self.lock:
            text = _xpath.text(path, self._context(section))
        return None if text is None else look_up(text, section, path)

    def get_integer(self, path: str, section: Section | None = None) -> int | None:
        """The integer at *path* (:func:`parse_integer`); None when nothing matches.

        Raises :exc:`ConfError` for a bad XPath or a value that is none.  Manual: ``mtev_conf_get_int32``."""
        return self._typed(path, section, _values.parse_integer)

    def get_float(self, path: str, section: Section | None = None) -> float | None:
        """The number at *path* (:func:`parse_float`); None when nothing matches.

        Raises :exc:`ConfError` for a bad XPath or a value that is none.  Manual: ``mtev_conf_get_double``."""
        return self._typed(path, section, _values.parse_float)

    def get_boolean(self, path: str, section: Section | None = None) -> bool | None:
        """The boolean at *path* (:func:`parse_boolean`); None when nothing matches.

        Raises :exc:`ConfError` for a bad XPath or a value that is none.  Manual: ``mtev_conf_get_boolean``."""
        return self._typed(path, section, _values.parse_boolean)

    def get_duration(self, path: str, section: Section | None = None) -> float | None:
        """The seconds at *path* (:func:`parse_duration`); None when nothing matches.

        Raises :exc:`ConfError` for a bad XPath or a value that is none.  Manual: ``mtev_confstr_parse_duration``."""
        return self._typed(path, section, _values.parse_duration)

    def get_string_list(self, base: str, child: str) -> list[str]:
        """The text of *child* in every match of *base*, in document order.

        Raises :exc:`ConfError` for a bad XPath, or naming the match that has no *child*.
        Manual: ``mtev.conf_get_string_list``."""
        values = []
        for section in self.get_sections(base):
            value = self.get_string(child, section)
            if value is None:
                raise self.error(f"<{section.tag}> at {base!r} has no {child!r}", section)
            values.append(value)
        return values

    def inherited(self, section: Section, name: str) -> str | None:
        """The attribute *name* of *section* or of its nearest ancestor that has it, after fix-up; or None.

        What an ``<include>`` says of its file is nobody's to inherit.  Manual: Inheritance."""
        with self.lock:
            for element in (section, *section.iterancestors()):
                value = element.get(name)
                if value is not None and not (name in _load.INCLUDE_ATTRIBUTES and self.is_include(element)):
                    break
            else:
                return None
        return look_up(value, section, f"@{name}")

    def get_hash(self, section: Section, name: str = "config") -> dict[str, str]:
        """The key/value set *name* of *section*: that of its ancestors from the top, overridden downwards.

        Each ``<name inherit="id">`` takes the keys of ``<name id="id">`` before its own.
        Raises :exc:`ConfError` for an ``inherit`` that finds nothing or itself.  Manual: ``mtev_conf_get_hash``."""
        with self.lock:
            return _inherit.merged(self, section, name, None)

    def get_own_hash(self, section: Section, name: str = "config") -> dict[str, str]:
        """The same without what ancestors have: only what stands here, and what that inherits by id."""
        with self.lock:
            return _inherit.merged(self, section, name, None, own=True)

    def get_namespaced_hash(self, section: Section, name: str, ns: str) -> dict[str, str]:
        """As :meth:`get_hash`, of the keys in namespace *ns*, a prefix or a URI, only.

        Raises :exc:`ConfError` likewise.  Manual: ``mtev_conf_get_namespaced_hash``."""
        with self.lock:
            return _inherit.merged(self, section, name, ns)

    def env_off(self, section: Section, attr: str = "require_env") -> bool:
        """Whether the environment turns *section* off: by its own *attr* or by that of any ancestor.

        Raises :exc:`ConfError` for an expression that is none.  Manual: ``mtev_conf_env_off``."""
        with self.lock:
            asked = [(element, element.get(attr)) for element in (section, *section.iterancestors())]
        for element, expression in asked:
            try:
                if expression is not None and not _environment.holds(fix_up(expression, element, f"@{attr}")):
                    return True
            except ValueError as bad:
                raise self.error(f"<{element.tag}> {attr}={expression!r}: {bad}", element) from None
        return False

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
    def section_read(self, path: str) -> Iterator[Section | None]:
        """The first match of *path*, which nobody changes meanwhile.  Manual: ``mtev_conf_get_section_read``."""
        with self.lock:
            yield self.get_section(path)

    @contextmanager
    def section_write(self, path: str) -> Iterator[Section | None]:
        """The same to change it: it counts as changed afterwards.  Manual: ``mtev_conf_get_section_write``."""
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
            raise ConfError("; ".join(map(str, failures)))
        return written

    def tick(self, now: float | None = None) -> None:
        """Save what changed once QUIET seconds have passed without a change; to be called every second or so.

        The document then goes to the log stream ``config`` too.  A failure is told once in ``error/conf``."""
        with self.lock:
            due = (
                self._changed_at is not None and (time.monotonic() if now is None else now) - self._changed_at >= QUIET
            )
            if not due:
                return
            self._changed_at = None
        journal = log.stream_find("config")
        if journal.enabled:
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
            fresh = _conf(_load.read(self.file), self.name, self.file.parent, self._app, self.file)
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

    def found(self, path: str) -> str:
        """Where the file or directory *path* is: as given, that is below the working directory; or, where nothing is
        there, below the directory of the configuration's file.  *path* itself where it is in neither."""
        if self.file is None or not path or os.path.lexists(path):
            return path
        beside = self.file.parent / path
        return str(beside.absolute()) if os.path.lexists(beside) else path

    def place(self, path: str) -> str:
        """Where a file *path* may be made: as given, or, where its directory is not there, as :meth:`found` finds
        that."""
        directory, name = os.path.split(path)
        found = self.found(directory)
        return path if found == directory else os.path.join(found, name)  # noqa: PTH118

    def tostring(self) -> bytes:
        """The whole document as UTF-8, includes with their content."""
        with self.lock:
            return etree.tostring(self.tree, encoding="utf-8", xml_declaration=True, standalone=True) + b"\n"

    def is_include(self, element: Section) -> bool:
        """Whether *element* is an ``<include>`` with the content of a file."""
        return element in self._include_of

    def include_of(self, section: Section) -> _load.Include | None:
        """The innermost include whose file *section* came from; None for the main file."""
        return next((self._include_of[each] for each in section.iterancestors() if each in self._include_of), None)

    def error(self, message: str, section: Section) -> ConfError:
        """A :exc:`ConfError` that names the file and line of *section*."""
        include = self.include_of(section)
        return ConfError(message, include.path if include else self.name, line_of(section))

    def complaint(self, message: str, section: Section, name: str = "config") -> ConfError:
        """The same of *section*, or of the key in its *name* that *message* is about: the first that it mentions."""
        with self.lock:
            known = {key: element for key, (element, _) in _inherit.elements(self, section, name, None).items()}
        return self.error(message, next((known[each] for each in _WORD.findall(message) if each in known), section))

    def complain(self, mistake: ConfError) -> None:
        """Raise *mistake*; within :meth:`collecting`, take it down, and whoever asked goes on."""
        if self._mistakes is None:
            raise mistake
        self._mistakes.append(mistake)

    @property
    def complaints(self) -> int:
        """How many mistakes were taken down so far."""
        return len(self._mistakes or ())

    @contextmanager
    def collecting(self) -> Iterator[list[ConfError]]:
        """Have all mistakes told, not only the first: those of :meth:`complain`, and the one that ends the block."""
        found: list[ConfError] = []
        self._mistakes = found
        try:
            yield found
        except ConfError as last:
            found.append(last)
        finally:
            self._mistakes = None

    def _context(self, section: Section | None) -> Section:
        return self.root if section is None else section

    def _typed(self, path: str, section: Section | None, parse: Callable[[str], _T]) -> _T | None:
        text = self.get_string(path, section)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as mistake:
            shown = repr(text if len(text) <= 80 else text[:80] + "…")
            message = f"{path}: {shown}: {mistake}"
        with self.lock:
            found = _xpath.evaluate(path, self._context(section), smart=True)
            item = found[-1] if isinstance(found, list) and found else None
            element = item if isinstance(item, etree._Element) else _edit.owner(found)
        raise ConfError(message, self.name) if element is None else self.error(message, element)

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
    return _conf(_load.read(file), str(path), file.parent, app, file)


def loads(
    data: bytes, name: str = "<memory>", directory: str | os.PathLike[str] | None = None, app: str | None = None
) -> Conf:
    """Load the configuration *data*, XML.

    Args: *name* for messages; *directory* that relative includes start from; *app* as in :func:`load`.
    Raises :exc:`ConfError` with the name and line."""
    return _conf(data, name, None if directory is None else Path(directory), app)


def _conf(data: bytes, name: str, directory: Path | None, app: str | None, file: Path | None = None) -> Conf:
    root = _load.parse(data, name)
    if app is not None and root.tag != app:
        raise ConfError(f"the root element is <{root.tag}>, expected <{app}>", name, line_of(root))
    made = Conf(root, name, _load.splice(root, name, directory, file), file)
    made._app = app
    return made
