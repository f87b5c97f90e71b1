"""Moving a log aside when it is due, and removing what is too much or too old.  Manual: Log Types, file."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Retention:
    """How much goes into a file, and how much is kept beside it; None: no limit."""

    rotate_seconds: int | None = None
    rotate_bytes: int | None = None
    retain_seconds: int | None = None
    retain_bytes: int | None = None

    def due(self, size: int, started: float, now: float) -> bool:
        """Whether a file of *size* bytes, begun at *started*, is to be moved aside."""
        if size == 0:
            return False
        if self.rotate_bytes is not None and size >= self.rotate_bytes:
            return True
        return self.rotate_seconds is not None and now - started >= self.rotate_seconds


def aside(path: str, now: float) -> str | None:
    """Rename *path* to ``PATH.<epoch seconds>``; returns the new name, None if there is one of this second already.

    Raises :exc:`OSError` when it cannot be renamed."""
    target = Path(f"{path}.{int(now)}")
    if target.exists():
        return None
    Path(path).rename(target)
    return str(target)


def cull(path: str, retention: Retention, now: float) -> list[str]:
    """Remove what was moved aside from *path* beyond the retention, the oldest first; returns what could not be."""
    found = []
    pattern = re.compile(re.escape(Path(path).name) + r"\.(\d+)")
    for each in Path(path).absolute().parent.iterdir():
        match = pattern.fullmatch(each.name)
        if match:
            found.append((int(match[1]), each))
    failures = []
    total = 0
    for ended, file in sorted(found, reverse=True):
        try:
            total += file.stat().st_size
            too_old = retention.retain_seconds is not None and now - ended > retention.retain_seconds
            too_much = retention.retain_bytes is not None and total > retention.retain_bytes
            if too_old or too_much:
                file.unlink()
        except OSError as failure:
            failures.append(f"{file}: {failure.strerror}")
    return failures
