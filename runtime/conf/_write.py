"""From the tree back to the files it came from.  Manual: Including configuration; Shatter."""

from collections.abc import Container, Mapping
from copy import deepcopy

from lxml import etree

from . import _load


def document(
    root: "etree._Element", includes: Mapping["etree._Element", _load.Include], stores: Container["etree._Element"]
) -> bytes:
    """The main file: without what came from includes and what is kept in backing stores."""
    whole = deepcopy(root.getroottree())
    copied = whole.getroot()
    assert copied is not None
    _strip(root, copied, includes, stores)
    data: bytes = etree.tostring(whole, encoding="utf-8", xml_declaration=True, standalone=True)
    return data + b"\n"


def included(
    include: _load.Include, includes: Mapping["etree._Element", _load.Include], stores: Container["etree._Element"]
) -> bytes:
    """The file of *include*, likewise."""
    content = deepcopy(include.element)
    _strip(include.element, content, includes, stores)
    if include.shell is None:
        parts = [(content.text or "").encode()]
        parts += [etree.tostring(child, encoding="utf-8") for child in content]
        return b"".join(parts).strip() + b"\n"
    shell = deepcopy(include.shell)
    shell.text = content.text
    shell.extend(list(content))
    data: bytes = etree.tostring(shell, encoding="utf-8", xml_declaration=True, standalone=True)
    return data + b"\n"


def _strip(
    original: "etree._Element",
    copied: "etree._Element",
    includes: Mapping["etree._Element", _load.Include],
    stores: Container["etree._Element"],
) -> None:
    """Empty the elements of *copied* whose content belongs elsewhere, as *original* tells, which is one of them not."""
    emptied = []
    dropped = []
    for here, there in zip(original.iter(), copied.iter(), strict=True):
        if here is original:
            continue
        if here in includes and includes[here].found:
            dropped.append(there)
        elif here in includes:
            emptied.append((there, False))
        elif here in stores:
            emptied.append((there, True))
    for element in dropped:
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)
    for element, attributes_too in emptied:
        for child in list(element):
            element.remove(child)
        element.text = None
        if attributes_too:
            for name in [each for each in element.attrib if each not in ("backingstore", "id")]:
                del element.attrib[name]
