"""How often lines of Lua ran: what the processes that run specs tell, taken together, and its reports.

The formats are lcov's (geninfo(1)) and Cobertura's (coverage-04.dtd), and a summary with the lines that were missed.
What counts and how is up to lua/coverage.lua.
"""

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from mtev_busted.events import fields
from mtev_busted.plan import Plan

Hits = dict[Path, Counter[int]]
"""How often each line of a file ran, by path and line."""

FOR_PEOPLE = ("gtest", "plain", "github")
"""The outputs that a summary may follow; it stays out of those for programs."""

NOT_IN_XML = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"


def told(events: Iterable[bytes]) -> Hits:
    """The counts that processes told of a file each, "path, line:count line:count ...", added up."""
    hits: Hits = {}
    for event in events:
        path, counts = fields(event)
        lines = hits.setdefault(Path.cwd() / os.fsdecode(path), Counter())
        for each in counts.split():
            line, _, count = each.partition(b":")
            lines[int(line)] += int(count)
    return hits


def merged(paths: Iterable[Path]) -> Hits:
    """The counts of the lcov files *paths* added up."""
    hits: Hits = {}
    for path in paths:
        lines: Counter[int] = Counter()
        for record in path.read_text("utf-8", errors="surrogateescape").splitlines():
            kind, _, value = record.partition(":")
            if kind == "SF":
                lines = hits.setdefault(Path(value), Counter())
            elif kind == "DA":
                line, _, count = value.partition(",")
                lines[int(line)] += int(count)
    return hits


def write(hits: Hits, root: Path, lcov: Path, cobertura: Path) -> list[str]:
    """Write *hits* to the files *lcov* and *cobertura*, there with paths relative to *root*; the lines of a summary.

    Raises :exc:`OSError`."""
    hits = dict(sorted(hits.items()))
    lcov.write_text(_lcov(hits), "utf-8", errors="surrogateescape")
    cobertura.write_bytes(_cobertura(hits, root))
    return _summary(hits, root)


def report(hits: Hits, plan: Plan) -> bool:
    """Write the reports of a run; whether they could be."""
    try:
        summary = write(hits, Path.cwd(), Path(plan.lcov), Path(plan.cobertura))
        stream = sys.stdout if plan.output in FOR_PEOPLE else sys.stderr
        stream.buffer.write(os.fsencode("".join(f"{line}\n" for line in ("", *summary))))
        stream.flush()
    except OSError as failure:
        sys.stderr.write(f"mtev-busted: coverage: {failure.filename or 'standard output'}: {failure.strerror}\n")
        return False
    return True


def _missed(counts: Iterable[int]) -> int:
    return sum(1 for each in counts if not each)


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _lcov(hits: Hits) -> str:
    out = []
    for path, lines in hits.items():
        out += ["TN:", f"SF:{path}", *(f"DA:{line},{count}" for line, count in sorted(lines.items()))]
        out += [f"LF:{len(lines)}", f"LH:{len(lines) - _missed(lines.values())}", "end_of_record"]
    return "".join(f"{each}\n" for each in out)


def _rate(counts: Collection[int]) -> dict[str, str]:
    rate = 1 - _missed(counts) / len(counts) if counts else 1
    return {"line-rate": f"{rate:.4f}", "branch-rate": "0", "complexity": "0"}


def _text(path: str) -> str:
    return re.sub(NOT_IN_XML, "\ufffd", os.fsencode(path).decode("utf-8", errors="replace"))


def _cobertura(hits: Hits, root: Path) -> bytes:
    every = [count for lines in hits.values() for count in lines.values()]
    totals = {"lines-covered": len(every) - _missed(every), "lines-valid": len(every)}
    totals |= {"branches-covered": 0, "branches-valid": 0, "version": 1, "timestamp": int(time.time()) * 1000}
    tree = ElementTree.Element("coverage", _rate(every) | {name: str(value) for name, value in totals.items()})
    sources = ElementTree.SubElement(tree, "sources")
    ElementTree.SubElement(sources, "source").text = _text(f"{root}/")
    packages = ElementTree.SubElement(tree, "packages")
    package = ElementTree.SubElement(packages, "package", {"name": "lua"} | _rate(every))
    classes = ElementTree.SubElement(package, "classes")
    for path, counts in hits.items():
        name = _text(_name(path, root))
        of_file = ElementTree.SubElement(classes, "class", {"name": name, "filename": name} | _rate(counts.values()))
        ElementTree.SubElement(of_file, "methods")
        lines = ElementTree.SubElement(of_file, "lines")
        for line, count in sorted(counts.items()):
            ElementTree.SubElement(lines, "line", number=str(line), hits=str(count))
    ElementTree.indent(tree, " ")
    document: bytes = ElementTree.tostring(tree, encoding="UTF-8", xml_declaration=True)
    return document + b"\n"


def _ranges(lines: Mapping[int, int]) -> str:
    """The lines that were missed: "3-5, 9", where no line between 3 and 5 ran."""
    ranges: list[tuple[int, int]] = []
    before = 0
    for line in sorted(lines):
        if not lines[line]:
            follows = bool(ranges) and ranges[-1][1] == before
            ranges[-1:] = [(ranges[-1][0], line)] if follows else [*ranges[-1:], (line, line)]
        before = line
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _row(name: str, count: int, missed: int, ranges: str, width: int) -> str:
    rate = 100 * (count - missed) / count if count else 100
    return f"{name:{width}} {count:7} {missed:7} {rate:6.1f}%  {ranges}".rstrip()


def _summary(hits: Hits, root: Path) -> list[str]:
    """A line for each file of *hits*, its path relative to *root*, between a head and the total."""
    names = {path: _name(path, root) for path in hits}
    width = max(4, *map(len, names.values())) if names else 4
    rows = [f"{'File':{width}} {'Lines':>7} {'Missed':>7} {'Cover':>7}  Missing"]
    missed = {path: _missed(lines.values()) for path, lines in hits.items()}
    rows += [_row(names[path], len(lines), missed[path], _ranges(lines), width) for path, lines in hits.items()]
    return [*rows, _row("Total", sum(map(len, hits.values())), sum(missed.values()), "", width)]
