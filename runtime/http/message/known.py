"""What was found out before, so that it need not be again: clients ask for much the same all the time."""

from typing import Final, TypeVar

LONGEST: Final = 512
"""Bytes from which on a question is too long to be remembered, as a rule."""

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")


class Known(dict[_Question, _Answer]):
    """Answers by question: *most* of them, for then it begins anew, so that what differs every time fills nothing.

    A question of *longest* bytes is too long."""

    __slots__ = ("_longest", "_most")

    def __init__(self, most: int = 1024, longest: int = LONGEST) -> None:
        super().__init__()
        self._most = most
        self._longest = longest

    def keep(self, question: _Question, answer: _Answer, size: int) -> None:
        """Remember *answer*, unless *question* is long: *size* bytes."""
        if size < self._longest:
            if len(self) >= self._most:
                self.clear()
            self[question] = answer
