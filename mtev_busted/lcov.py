"""lcov files of several runs taken together, and the summary that mtev-busted ends with.  Format: geninfo(1)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

Hits = dict[Path, Counter[int]]
"""How often each line of a file ran, by path and line."""


def merged(paths: Iterable[Path]) -> Hits:
    """The counts of the lcov files *paths* added up, in the order of the files they count."""
    hits: Hits = {}
    for path in paths:
        lines: Counter[int] = Counter()
        for record in path.read_text(errors="surrogateescape").splitlines():
            kind, _, value = record.partition(":")
            if kind == "SF":
                lines = hits.setdefault(Path(value), Counter())
            elif kind == "DA":
                line, _, count = value.partition(",")
                lines[int(line)] += int(count)
    return dict(sorted(hits.items()))


def text(hits: Hits) -> str:
    """*hits* as an lcov file."""
    out = []
    for path, lines in hits.items():
        out += ["TN:", f"SF:{path}", *(f"DA:{line},{count}" for line, count in sorted(lines.items()))]
        out += [f"LF:{len(lines)}", f"LH:{len(lines) - len(_missed(lines))}", "end_of_record"]
    return "".join(f"{each}\n" for each in out)


def _missed(lines: Mapping[int, int]) -> list[int]:
    return sorted(line for line, count in lines.items() if not count)


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


def summary(hits: Hits, root: Path) -> list[str]:
    """A line for each file of *hits*, its path relative to *root*, between a head and the total."""
    names = {path: str(path.relative_to(root) if path.is_relative_to(root) else path) for path in hits}
    width = max(4, *map(len, names.values())) if names else 4
    rows = [f"{'File':{width}} {'Lines':>7} {'Missed':>7} {'Cover':>7}  Missing"]
    missed = {path: len(_missed(lines)) for path, lines in hits.items()}
    rows += [_row(names[path], len(lines), missed[path], _ranges(lines), width) for path, lines in hits.items()]
    return [*rows, _row("Total", sum(map(len, hits.values())), sum(missed.values()), "", width)]
