"""A buffer that grows.  Manual: mtev_dyn_buffer_init."""

import json
from typing import Final

_ROOM: Final = 4096  # bytes it begins with


class DynBuffer:
    """Bytes, added at the write position."""

    def __init__(self) -> None:
        self._memory = bytearray(_ROOM)
        self._used = 0

    def add(self, data: bytes) -> None:
        """Manual: mtev_dyn_buffer_add."""
        self.ensure(len(data))
        self._memory[self._used : self._used + len(data)] = data
        self._used += len(data)

    def add_json_string(self, text: bytes, solidus: bool = False) -> None:
        """*text*, UTF-8, as a string of JSON without its quotes; with *solidus* also / is escaped.

        Raises UnicodeDecodeError.  Manual: mtev_dyn_buffer_add_json_string."""
        encoded = json.dumps(text.decode(), ensure_ascii=False)[1:-1]
        self.add((encoded.replace("/", "\\/") if solidus else encoded).encode())

    def add_printf(self, template: bytes, *args: object) -> None:
        """*template* % *args*; a NUL follows, which does not count.  Manual: mtev_dyn_buffer_add_printf."""
        self.add(template % args)
        self.ensure(1)
        self._memory[self._used] = 0

    def ensure(self, size: int) -> None:
        """Make room for *size* more bytes.  Manual: mtev_dyn_buffer_ensure."""
        missing = self._used + size - len(self._memory)
        if missing > 0:
            self._memory += bytes(max(missing, len(self._memory)))

    def write_pointer(self) -> memoryview:
        """The room behind what is used, to be written into; :meth:`advance` then says how much was.  To be let go of
        before the buffer grows again.  Manual: mtev_dyn_buffer_write_pointer."""
        return memoryview(self._memory)[self._used :]

    def advance(self, size: int) -> None:
        """*size* more bytes are used.  Raises ValueError beyond the room there is.  Manual:
        mtev_dyn_buffer_advance."""
        if not 0 <= size <= len(self._memory) - self._used:
            raise ValueError(f"{size} bytes in a room of {len(self._memory) - self._used}")
        self._used += size

    def data(self) -> bytes:
        """What is used.  Manual: mtev_dyn_buffer_data."""
        return bytes(self._memory[: self._used])

    def used(self) -> int:
        """Bytes.  Manual: mtev_dyn_buffer_used."""
        return self._used

    def size(self) -> int:
        """Bytes, used or not.  Manual: mtev_dyn_buffer_size."""
        return len(self._memory)

    def reset(self) -> None:
        """Begin anew, in the room there is.  Manual: mtev_dyn_buffer_reset."""
        self._used = 0
