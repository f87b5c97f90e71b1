"""From files to one tree: XML is parsed and ``<include>`` elements get the content of their files.

Manual: Including configuration.  Entities that a file declares itself stand for their text.  Nothing outside the files
named is read: no network, no external entity, no DTD.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

from runtime import xmltext

from ._errors import ConfError, line_of
from ._fixup import fix_up
from ._values import parse_boolean

INCLUDE_ATTRIBUTES = frozenset(("file", "snippet", "ro"))
"""Attributes that speak of the include itself, not of what is below it."""

_DEPTH = 64
_ENDLESS = "its entities (<!ENTITY …>) stand for more text than a configuration may have"
_LOOP = "an entity (<!ENTITY …>) contains itself"
_TEXT_DECLARATION = re.compile(rb"(\s*)(<\?xml\s[^>]*\?>)")
_POSITION = re.compile(r"(?: line \d+)?, line \d+, column \d+$")
_MAGIC = re.compile(r"[*?]|\{[^{}]*\}")
_BRACES = re.compile(r"\{([^{}]*)\}")
_OUTERMOST = etree.XPath("//include[@file or @snippet or @ro][not(ancestor::include[@file])]")


class Include(NamedTuple):
    """An ``<include>`` whose content came from a file.

    Attributes: ``element``, ``path`` (as reached from the including file), ``snippet``, ``read_only``: the file is
    never written, ``shell``, the file's own root element without its content; None for a snippet, and ``found``: it
    stands in no file, a pattern led here."""

    element: "etree._Element"
    path: Path
    snippet: bool
    read_only: bool
    shell: "etree._Element | None" = None
    found: bool = False


def read(path: Path) -> bytes:
    """The content of *path*.  Raises :exc:`ConfError`."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else failure
        raise ConfError(f"cannot read the configuration: {reason}", path) from None


def parse(data: bytes, name: str) -> "etree._Element":
    """The root element of *data*.  Raises :exc:`ConfError` with *name* and the line."""
    try:
        root = etree.fromstring(data, xmltext.parser())
    except etree.XMLSyntaxError as mistake:
        raise _explained(mistake, data, name) from None
    except xmltext.OutsideError as refused:
        reason = f"an entity is '{refused}', which is not read; <include file=…/> reads a file"
        raise ConfError(reason, name, _line_of(str(refused), data)) from None
    declared: Any = root.getroottree().docinfo.internalDTD
    if declared is not None and any(declared.iterentities()):
        _lines_of_references(root)
    return root


def _explained(mistake: etree.XMLSyntaxError, data: bytes, name: str) -> ConfError:
    """What is wrong with *data*.  What entities do wrong has no line of its own: it is that of their declarations."""
    reason = _POSITION.sub("", mistake.msg or "not well-formed XML")
    if "amplification" in reason or "entity reference loop" in reason:
        return ConfError(_ENDLESS if "amplification" in reason else _LOOP, name, _line_of("<!DOCTYPE", data))
    return ConfError(reason, name, mistake.lineno or None)


def _line_of(text: str, data: bytes) -> int:
    return 1 + data.count(b"\n", 0, max(0, data.find(text.encode())))


def _lines_of_references(root: "etree._Element") -> None:
    """Elements that came from an entity, whose lines are counted within it, bear the line they came to stand at."""
    line = 0
    every: Any = root.iter()
    for element in every:
        line = element.sourceline = max(line, element.sourceline or 0)


def parse_snippet(data: bytes, name: str) -> "etree._Element":
    """An element around the content of *data*, which needs no root of its own.

    Raises :exc:`ConfError` with *name* and the line."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    found = _TEXT_DECLARATION.match(data)
    # A declaration only counts at the very beginning; the lines before it are put back behind it.
    space, declaration = found.groups() if found else (b"", b"")
    body = data[len(space) + len(declaration) :]
    return parse(declaration + b"<snippet>" + b"\n" * space.count(b"\n") + body + b"</snippet>", name)


def splice(root: "etree._Element", name: str, directory: Path | None, file: Path | None = None) -> list[Include]:
    """Read what the includes below *root* name, and put it under them; their own content is dropped.

    Args: *name* for messages; *directory* that relative paths start from; *file* that *root* came from, if any.
    Returns the includes, outer before inner.  Raises :exc:`ConfError`."""
    return _splice(root, name, directory, [file] if file else [])


def _splice(root: "etree._Element", name: str, directory: Path | None, chain: list[Path]) -> list[Include]:
    includes = []
    found = _OUTERMOST(root)
    assert isinstance(found, list)
    for element in found:
        assert isinstance(element, etree._Element)
        include = _described(element, name, directory)
        if _is_pattern(include.path):
            includes += _splice_all(element, include, name, chain)
        else:
            includes += _splice_one(include, name, chain)
    return includes


def _splice_all(element: "etree._Element", include: Include, name: str, chain: list[Path]) -> list[Include]:
    """Put behind *element* an ``<include>`` for each file that its pattern finds; none is no error.

    The pattern's own stays, empty, for it is what the file says."""
    for child in list(element):
        element.remove(child)
    element.text = None
    includes = [include._replace(read_only=True)]  # a pattern is the name of no file that could be written
    after = element
    for path in _matches(include.path):
        found = etree.Element("include", {str(key): str(value) for key, value in element.items()})
        found.set("file", str(path))
        found.sourceline = element.sourceline
        after.addnext(found)
        after = found
        includes += _splice_one(include._replace(element=found, path=path, found=True), name, chain)
    return includes


def _splice_one(include: Include, name: str, chain: list[Path]) -> list[Include]:
    element = include.element
    line = line_of(element)
    steps = [*chain, include.path]
    if os.path.realpath(include.path) in map(os.path.realpath, chain):
        raise ConfError(f"include cycle: {' -> '.join(map(str, steps))}", name, line)
    if len(chain) >= _DEPTH:
        raise ConfError(f"includes are nested deeper than {_DEPTH} files, at {include.path}", name, line)
    try:
        data = read(include.path)
    except ConfError as unreadable:
        reason = unreadable.message.removeprefix("cannot read the configuration: ")
        raise ConfError(f"cannot include {include.path}: {reason}", name, line) from None
    reader: Callable[[bytes, str], etree._Element] = parse_snippet if include.snippet else parse
    content = reader(data, str(include.path))
    inner = _splice(content, str(include.path), include.path.parent, steps)
    for child in list(element):
        element.remove(child)
    element.text = content.text
    element.extend(list(content))
    content.text = None
    return [include._replace(shell=None if include.snippet else content), *inner]


def _is_pattern(path: Path) -> bool:
    return _MAGIC.search(str(path)) is not None and not path.exists()


def _matches(pattern: Path) -> list[Path]:
    """The files that *pattern* finds: ``*``, ``?`` and ``{a,b}``; those of an alternative by name."""
    import glob  # few configurations have patterns

    found: dict[str, None] = {}
    for each in _alternatives(str(pattern)):
        found |= dict.fromkeys(sorted(glob.glob(each.replace("[", "[[]"))))  # noqa: PTH207 -- an absolute pattern
    return [Path(each) for each in found]


def _alternatives(pattern: str) -> list[str]:
    braces = _BRACES.search(pattern)
    if braces is None:
        return [pattern]
    before, after = pattern[: braces.start()], pattern[braces.end() :]
    return [whole for each in braces[1].split(",") for whole in _alternatives(before + each + after)]


def _described(element: "etree._Element", name: str, directory: Path | None) -> Include:
    def flag(attribute: str) -> bool:
        text = element.get(attribute)
        try:
            return text is not None and parse_boolean(fix_up(text, element, f"@{attribute}"))
        except ValueError as mistake:
            raise ConfError(f"<include> {attribute}={text!r}: {mistake}", name, line_of(element)) from None

    file = element.get("file")
    target = Path(fix_up(file, element, "@file")) if file else Path()
    if not target.name:
        raise ConfError("<include> needs the name of a file in its attribute file", name, line_of(element))
    if not target.is_absolute():
        if directory is None:
            raise ConfError(f"<include> of {target}: there is no directory to find it from", name, line_of(element))
        target = directory / target
    return Include(element, target, flag("snippet"), flag("ro"))
