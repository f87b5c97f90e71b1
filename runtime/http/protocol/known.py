"""What was looked at before and found good, so that it need not be looked at again."""

_MOST, _LONGEST = 1024, 256


class Known(set[bytes]):
    """Texts that were found good: so many at the most, and none that is long."""

    __slots__ = ()

    def keep(self, text: bytes) -> None:
        """*text* is good."""
        if len(text) < _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self.add(text)
