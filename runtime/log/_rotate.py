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


def free(target: str) -> bool:
    """Whether nothing has the name *target*: a second may see two rotations."""
    return not Path(target).exists()


def cull(path: str, age: int | None, size: int | None, now: float) -> list[str]:
    """Remove what was moved aside from *path*: older than *age* seconds at *now*, and the oldest beyond *size* bytes.

    Returns what could not be."""
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
            too_old = age is not None and now - ended > age
            too_much = size is not None and total > size
            if too_old or too_much:
                file.unlink()
        except OSError as failure:
            failures.append(f"{file}: {failure.strerror}")
    return failures
