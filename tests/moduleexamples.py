"""The examples of loadable modules in the reference, as what a :class:`moduleprogram.Program` is made of."""

import re
from pathlib import Path
from typing import NamedTuple

from lxml import etree

REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "modules.md"


class Example(NamedTuple):
    """The configuration by its parts, and the program."""

    modules: str
    logs: str
    acl: str
    more: str
    lua: str

    def at(self, old: str, new: str) -> "Example":
        """The same with *new* in place of *old*: a test's peer is not where one usually is."""
        assert old in self.modules + self.more
        return self._replace(modules=self.modules.replace(old, new), more=self.more.replace(old, new))


def example(title: str) -> Example:
    """That of the section *title*."""
    found = re.search(rf"^##+ {title}\n(.*?)(?=^##|\Z)", REFERENCE.read_text(), re.M | re.S)
    assert found is not None
    xml, lua = ("".join(re.findall(rf"```{kind}\n(.*?)```", found[1], re.S)) for kind in ("xml", "lua"))
    parts = dict.fromkeys(("modules", "logs", "acl"), "")
    more = ""
    for element in etree.fromstring(f"<example>{xml}</example>"):
        inner = element.find("acl") if element.tag == "rest" else element
        name = {"rest": "acl", "generic": "modules"}.get(str(element.tag), str(element.tag))
        if name in parts:
            assert inner is not None
            whole = [inner] if element.tag == "generic" else list(inner)
            parts[name] += "".join(etree.tostring(each, encoding="unicode") for each in whole)
        else:
            more += etree.tostring(element, encoding="unicode")
    return Example(more=more, lua=lua, **parts)
