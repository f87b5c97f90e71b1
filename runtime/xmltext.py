"""Parsers of XML that read nothing but the text they are given: no file, no host, no DTD.

Entities that the text declares itself stand for their text; libxml2 refuses those that grow without bound.
"""

from typing import Any, NoReturn

from lxml import etree


class OutsideError(Exception):
    """The text asks for something outside of it, which the exception names."""


class _Refusal(etree.Resolver):
    """Settings keep a parser from most of what is outside the text, this from all of it."""

    def resolve(self, url: object, *_: object) -> NoReturn:
        raise OutsideError(url)


def parser(**options: Any) -> etree.XMLParser:
    """A parser with these *options* of lxml's; it raises :exc:`OutsideError` beside what such parsers raise."""
    made = etree.XMLParser(
        resolve_entities=True,  # "internal" would know no parameter entities
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=False,
        collect_ids=True,  # without it libxml2 reads external subsets, whatever load_dtd says
        **options,
    )
    made.resolvers.add(_Refusal())
    return made
