"""What the garbage collector does is told in debug/memory, and never from within a collection."""

import gc

from hearing import hear

from runtime import log, memory


class Loop:
    def __init__(self) -> None:
        self.me = self


def test_a_collection_is_told_when_it_is_over() -> None:
    memory.watch()
    memory.watch()  # once is enough
    heard = hear("debug/memory")
    gc.collect()
    memory.tell()
    before = len(heard())
    Loop()
    gc.collect()
    assert len(heard()) == before
    memory.tell()
    (line,) = [each for each in heard()[before:] if each.startswith("generation 2: ")]
    assert " objects reclaimed, 0 cannot be, in " in line


def test_while_the_stream_is_off_nothing_is_noted() -> None:
    memory.watch()
    memory.tell()
    assert not log.facility("debug/memory").enabled
    gc.collect()
    heard = hear("debug/memory")
    memory.tell()
    assert heard() == []
