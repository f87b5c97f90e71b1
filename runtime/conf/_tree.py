"""A configuration that is asked: a tree of XML, by XPath.  Manual: libmtev Application Configuration.

A section is an lxml element; None stands for the document, in which relative paths start at the root element.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TypeVar

from lxml import etree

from runtime import log

from . import _edit, _environment, _inherit, _load, _values, _xpath
from ._errors import ConfError, line_of
from ._fixup import fix_up, look_up

_WORD = re.compile(r"[\w.-]+")

Section = etree._Element

_T = TypeVar("_T")


class Tree:
    """What can be asked of a :class:`Conf`."""

    def __init__(self, root: Section, name: str, includes: list[_load.Include], file: Path | None) -> None:
        self.name = name
        self.file = file
        self.root = root
        self.includes = includes
        self.lock = RLock()
        self._include_of = {include.element: include for include in includes}
        self._mistakes: list[ConfError] | None = None

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

    @contextmanager
    def section_read(self, path: str) -> Iterator[Section | None]:
        """The first match of *path*, which nobody changes meanwhile.  Manual: ``mtev_conf_get_section_read``."""
        with self.lock:
            yield self.get_section(path)

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

    def warn(self, mistake: ConfError) -> None:
        """Log *mistake*, with which a start goes on; within :meth:`collecting`, take it down."""
        if self._mistakes is None:
            log.stream_find("error/conf").log(f"{mistake}\n")
        else:
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
