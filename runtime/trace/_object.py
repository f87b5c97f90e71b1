"""A shared object that has nothing but USDT probes, put together byte by byte.

Each probe is a function of its own: a ``nop`` where a tracer puts its breakpoint, and a return.  It is called with the
probe's arguments as any function is, so a note can say that they are in the registers of the calling convention.  A
probe has a semaphore, 16 bits in the object's data that the kernel raises in every process which has it loaded while a
tracer listens.  The 16 bits behind are for the process itself.

Known from: System V ABI, chapters 4 and 5, and its supplements for x86-64 and AArch64; the format of notes of type
``stapsdt`` is described by SystemTap (UserSpaceProbeImplementation).
"""

import struct
from collections.abc import Sequence
from typing import Final

PAGE: Final = 0x10000  # bytes: the largest page that either machine has
CELL: Final = 4
CELLS: Final = "luamtev_trace_cells"
"""The symbol of the semaphores."""

_HEADER, _SEGMENT, _SECTION, _SYMBOL = 64, 56, 64, 24  # bytes
_SEGMENTS: Final = 4
_TEXT_SECTION, _CELLS_SECTION = 4, 7  # as they follow each other in build()
_FUNCTION, _DATA = 0x12, 0x11  # global symbols


class Machine:
    """What differs: the number of the machine, the bytes of ``nop; ret``, registers of arguments of 8 and 4 bytes."""

    def __init__(self, number: int, code: bytes, wide: str, narrow: str) -> None:
        self.number = number
        self.code = code
        self.wide = wide.split()
        self.narrow = narrow.split()


_X = "x0 x1 x2 x3 x4 x5"

MACHINES: Final = {
    "x86_64": Machine(
        62,
        b"\x90\xc3",
        "%rdi %rsi %rdx %rcx %r8 %r9",
        "%edi %esi %edx %ecx %r8d %r9d",
    ),
    "aarch64": Machine(183, struct.pack("<II", 0xD503201F, 0xD65F03C0), _X, _X),
}
"""By the names that :func:`os.uname` has for them."""

STRIDE: Final = 16  # bytes from one function to the next


Probe = tuple[str, tuple[int, ...]]
"""A name, and of each argument how many bytes it has, below 0 for a number with a sign."""


def symbol(name: str) -> str:
    """That of the function of the probe *name*."""
    return f"luamtev_trace_{name}"


def build(machine: str, provider: str, probes: Sequence[Probe]) -> bytes:
    """The object for *machine*, one of :data:`MACHINES`.

    Its symbols are :data:`CELLS`, a cell of 4 bytes for each of *probes*, and a function for each.
    Raises KeyError for another machine."""
    about = MACHINES[machine]
    names = _Strings()
    symbols = [(names.add(symbol(name)), _FUNCTION, _TEXT_SECTION) for name, _ in probes]
    symbols.append((names.add(CELLS), _DATA, _CELLS_SECTION))
    own_name = names.add(f"{provider}_trace.so")

    made = _Image(_HEADER + _SEGMENT * _SEGMENTS)
    hash_at = made.section(".hash", 5, "A", _hash(len(symbols)), link=2, entry=4)
    symbols_at = made.section(".dynsym", 11, "A", bytes(_SYMBOL * (1 + len(symbols))), link=3, info=1, entry=_SYMBOL)
    strings_at = made.section(".dynstr", 3, "A", bytes(names.data))
    text_at = made.section(".text", 1, "AX", b"".join(about.code.ljust(STRIDE, b"\0") for _ in probes), STRIDE)
    base_at = made.section(".stapsdt.base", 1, "A", b"\0")
    read_end = len(made.bytes)
    found = (14, own_name, 4, hash_at, 5, strings_at, 6, symbols_at, 10, len(names.data), 11, _SYMBOL, 0, 0)
    dynamic = struct.pack(f"<{len(found)}Q", *found)
    dynamic_at = made.section(".dynamic", 6, "AW", dynamic, link=3, entry=16)
    cells_at = made.section(".probes", 1, "AW", bytes(CELL * len(probes)))
    written_end = len(made.bytes)
    places = [(text_at + STRIDE * at, PAGE + cells_at + CELL * at) for at in range(len(probes))]
    notes = [_note(about, provider, probe, base_at, *place) for probe, place in zip(probes, places, strict=True)]
    made.section(".note.stapsdt", 7, "", b"".join(notes), 4)

    values = [(place, len(about.code)) for place, _ in places] + [(PAGE + cells_at, CELL * len(probes))]
    for at, ((name, kind, section), (value, size)) in enumerate(zip(symbols, values, strict=True), 1):
        struct.pack_into("<IBBHQQ", made.bytes, symbols_at + _SYMBOL * at, name, kind, 0, section, value, size)
    segments = [  # type, flags, offset, address, size, alignment
        (1, 5, 0, 0, read_end, PAGE),
        (1, 6, dynamic_at, PAGE + dynamic_at, written_end - dynamic_at, PAGE),
        (2, 6, dynamic_at, PAGE + dynamic_at, len(dynamic), 8),
        (0x6474E551, 6, 0, 0, 0, 16),  # a stack that is not executable
    ]
    for at, (kind, flags, offset, where, size, alignment) in enumerate(segments):
        place = _HEADER + _SEGMENT * at
        struct.pack_into("<IIQQQQQQ", made.bytes, place, kind, flags, offset, where, where, size, size, alignment)
    return made.finished(about.number)


class _Image:
    """The bytes so far, and their sections.  What is written lies a page above where its place in the file would be."""

    def __init__(self, size: int) -> None:
        self.bytes = bytearray(size)
        self._names = _Strings()
        self._sections = [bytes(_SECTION)]

    def section(
        self,
        name: str,
        kind: int,
        flags: str,
        data: bytes,
        alignment: int = 8,
        *,
        link: int = 0,
        info: int = 0,
        entry: int = 0,
    ) -> int:
        """Append *data* as a section; *flags*: it is loaded (A), written (W), run (X).  Returns its offset."""
        self.bytes += bytes(-len(self.bytes) % alignment)
        at = len(self.bytes)
        self.bytes += data
        mask = sum({"W": 1, "A": 2, "X": 4}[each] for each in flags)
        address = 0 if not flags else at + PAGE if "W" in flags else at
        about = (self._names.add(name), kind, mask, address, at, len(data), link, info, alignment, entry)
        self._sections.append(struct.pack("<IIQQQQIIQQ", *about))
        return at

    def finished(self, machine: int) -> bytes:
        """All of it, with the header and the table of sections."""
        self._names.add(".shstrtab")
        self.section(".shstrtab", 3, "", bytes(self._names.data))
        count = len(self._sections)
        at = len(self.bytes)
        self.bytes += b"".join(self._sections)
        ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")  # 64 bits, little-endian
        sizes = (_HEADER, _SEGMENT, _SEGMENTS, _SECTION, count, count - 1)
        struct.pack_into("<16sHHIQQQIHHHHHH", self.bytes, 0, ident, 3, machine, 1, 0, _HEADER, at, 0, *sizes)
        return bytes(self.bytes)


class _Strings:
    """A table of strings that end with a zero."""

    def __init__(self) -> None:
        self.data = bytearray(1)
        self._known: dict[str, int] = {}

    def add(self, text: str) -> int:
        """Where *text* is, from now on."""
        if text not in self._known:
            self._known[text] = len(self.data)
            self.data += text.encode() + b"\0"
        return self._known[text]


def _hash(count: int) -> bytes:
    """A table of one bucket: all symbols in a row."""
    chain = [0, *range(2, count + 1), 0]
    return struct.pack(f"<{3 + len(chain)}I", 1, 1 + count, 1, *chain)


def _note(machine: Machine, provider: str, probe: Probe, base: int, place: int, semaphore: int) -> bytes:
    name, sizes = probe
    registers = zip(sizes, machine.wide, machine.narrow, strict=False)
    arguments = " ".join(f"{size}@{narrow if abs(size) < 8 else wide}" for size, wide, narrow in registers)
    said = struct.pack("<QQQ", place, base, semaphore)
    said += b"".join(each.encode() + b"\0" for each in (provider, name, arguments))
    return struct.pack("<III", 8, len(said), 3) + b"stapsdt\0" + said + bytes(-len(said) % 4)
