"""Backing stores: a node that is kept in a directory, so that a change to one node touches one file.  Manual: Shatter.

An element with child elements is a directory, any other one a file:

    DIR/.node        the element itself, without children: tag, attributes, text; and the keys of its children, in order
    DIR/KEY.xml      a child that has no child elements, whole
    DIR/KEY/         a child that has

A key is never used twice.  What no ``.node`` names is not there: a child is written before the ``.node`` that names it,
and removed after the one that no longer does.  So a directory is always what it was before a change or after it.
"""

from copy import copy
from pathlib import Path
from typing import Any

from lxml import etree

from . import _files
from ._errors import ConfError

ATTRIBUTE = "backingstore"
_NODE = ".node"
_KEYS = "{urn:libmtev:backingstore}children"


class Store:
    """The directory of one element, and what is known to be in it."""

    def __init__(self, element: "etree._Element", directory: Path) -> None:
        self.element = element
        self.directory = directory
        self._keys: dict[etree._Element, str] = {}  # holds the elements, so that they stay the same objects
        self._written: dict[Path, bytes] = {}
        self._last = 0

    @property
    def exists(self) -> bool:
        """Whether the directory was ever written."""
        return bool(self._written)

    def load(self, parse: Any) -> None:
        """Put what the directory holds under the element; nothing happens if there is no directory yet.

        *parse* makes an element of bytes and a name.  Raises :exc:`ConfError` naming the file."""
        if not (self.directory / _NODE).exists():
            return
        loaded = self._load(self.directory, parse)
        own = self.element
        for child in list(own):
            own.remove(child)
        for name, value in loaded.attrib.items():
            own.set(name, value)
        own.text = loaded.text
        own.extend(list(loaded))

    def serialised(self) -> dict[Path, bytes]:
        """The files to be, all of them, by their paths."""
        files: dict[Path, bytes] = {}
        self._serialise(self.element, self.directory, files)
        return files

    def write(self, files: dict[Path, bytes]) -> list[Path]:
        """Have *files* on the disk, and none that were there before; returns those that had to be written.

        Raises :exc:`ConfError` naming the file."""
        written: list[Path] = []
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            for path, data in files.items():
                digest = _digest(data)
                if self._written.get(path) != digest:
                    path.parent.mkdir(exist_ok=True)
                    _files.replace(path, data)
                    self._written[path] = digest
                    written.append(path)
            for path in [each for each in self._written if each not in files]:
                path.unlink(missing_ok=True)
                del self._written[path]
                if path.name == _NODE:
                    import shutil

                    shutil.rmtree(path.parent, ignore_errors=True)
        except OSError as failure:
            raise ConfError(f"cannot write: {failure.strerror}", failure.filename or self.directory) from None
        return written

    def _load(self, directory: Path, parse: Any) -> "etree._Element":
        path = directory / _NODE
        element = self._read(path, parse)
        keys = str(element.attrib.pop(_KEYS, "")).split()
        for key in keys:
            if not key.isdecimal():
                raise ConfError(f"no key of a child: '{key}'", path)
            self._last = max(self._last, int(key))
            file = directory / f"{key}.xml"
            child = self._read(file, parse) if file.exists() else self._load(directory / key, parse)
            self._keys[child] = key
            element.append(child)
        return element

    def _read(self, path: Path, parse: Any) -> "etree._Element":
        try:
            data = path.read_bytes()
        except OSError as failure:
            raise ConfError(f"cannot read: {failure.strerror}", path) from None
        self._written[path] = _digest(data)
        element: etree._Element = parse(data, str(path))
        return element

    def _serialise(self, element: "etree._Element", directory: Path, files: dict[Path, bytes]) -> None:
        keys = []
        comments = set(element.iterchildren(etree.Comment, etree.PI))
        for child in element:
            if child in comments:
                continue
            key = self._keys.get(child)
            if key is None:
                self._last += 1
                key = self._keys[child] = str(self._last)
            keys.append(key)
            if child.find("*") is not None:
                self._serialise(child, directory / key, files)
            else:
                alone = copy(child)
                alone.tail = None
                files[directory / f"{key}.xml"] = _bytes(alone)
        prefixes: Any = {**element.nsmap, "mtevstore": _KEYS[1:].partition("}")[0]}
        shell = etree.Element(element.tag, nsmap=prefixes)
        for name, value in element.attrib.items():
            if not (element is self.element and name == ATTRIBUTE):
                shell.set(name, value)
        shell.text = element.text if (element.text or "").strip() else None
        shell.set(_KEYS, " ".join(keys))
        files[directory / _NODE] = _bytes(shell)


def _bytes(element: "etree._Element") -> bytes:
    return etree.tostring(element, encoding="utf-8", xml_declaration=True)


def _digest(data: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(data).digest()
