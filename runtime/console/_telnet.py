"""The telnet options of one connection: what the client's bytes mean, and what is answered.

Bytes in; keys and answers out.  Options follow RFC 1143: only a change is answered, so no storm of them echoes.
RFC 854 (commands), 855, 857 (ECHO), 858 (SGA), 859 (STATUS), 860 (TM), 1073 (NAWS), 1079, 1091 (TTYPE), 1372 (LFLOW).
"""

import re
from collections.abc import Callable

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BREAK, IP, ABORT_OUTPUT, AYT, ERASE_CHARACTER, ERASE_LINE, DATA_MARK = 243, 244, 245, 246, 247, 248, 242
END_OF_FILE, SUSPEND, ABORT = 236, 237, 238

BINARY, ECHO, SGA, STATUS, TIMING_MARK, LOGOUT = 0, 1, 3, 5, 6, 18
TTYPE, NAWS, TSPEED, LFLOW, XDISPLOC, OLD_ENVIRON, NEW_ENVIRON = 24, 31, 32, 33, 35, 36, 39

GREETING = (
    (WILL, SGA),
    (DO, ECHO),
    (DO, NAWS),
    (WILL, STATUS),
    (DO, LFLOW),
    (WILL, ECHO),
    (DO, TTYPE),
    (DO, TSPEED),
    (DO, XDISPLOC),
    (DO, NEW_ENVIRON),
    (DO, OLD_ENVIRON),
)
"""What is offered and asked for at first."""

_OURS = frozenset((BINARY, ECHO, SGA, STATUS))  # what we may do
_THEIRS = frozenset((BINARY, ECHO, SGA, NAWS, LFLOW, TTYPE, TSPEED, XDISPLOC, NEW_ENVIRON, OLD_ENVIRON))
_MOST = 512  # bytes of a subnegotiation; the rest of a longer one is passed over

ANSWER_TO_AYT = b"\r\n[Yes]\r\n"
_COMMANDS = {
    IP: b"\x03",
    ERASE_CHARACTER: b"\x7f",
    ERASE_LINE: b"\x15",
    END_OF_FILE: b"\x04",
    BREAK: b"",
    SUSPEND: b"",
    ABORT: b"",
}
_PLAIN = re.compile(rb"[^\xff\r\n\0]+")

_DATA, _CR, _IAC, _OPTION, _SUB, _SUB_IAC = range(6)


class Telnet:
    """The telnet side of a console.

    ``answer`` is called with bytes to send at once; ``terminal``, the client's terminal type in lower case, and
    ``size``, columns and rows, are what it said of itself."""

    def __init__(self, answer: Callable[[bytes], object]) -> None:
        self._answer = answer
        self.terminal = ""
        self.size: tuple[int, int] | None = None
        self.ended = False  # the client sent the command END_OF_FILE
        self._state = _DATA
        self._verb = 0
        self._sub = bytearray()
        self._we: dict[int, bool] = {}  # what we do, or offered to
        self._they: dict[int, bool] = {}  # what they do, or were asked for
        self._awaited: set[tuple[int, int]] = set()  # answers to our own words, which are not answered

    def start(self) -> bytes:
        """The first bytes to send."""
        for verb, option in GREETING:
            (self._we if verb == WILL else self._they)[option] = True
            self._awaited.add((verb, option))
        words = b"".join(bytes((IAC, verb, option)) for verb, option in GREETING)
        return words + bytes((IAC, SB, TTYPE, 1, IAC, SE))

    def receive(self, data: bytes) -> bytes:
        """The keys in *data*: a line ends in one CR, however it was sent."""
        keys = bytearray()
        at, end = 0, len(data)
        while at < end:
            state = self._state
            if state == _DATA:
                plain = _PLAIN.match(data, at)
                if plain is not None:
                    keys += plain.group()
                    at = plain.end()
                    continue
            byte = data[at]
            at += 1
            if state in (_DATA, _CR):
                self._data(byte, keys)
            elif state == _IAC:
                self._command(byte, keys)
            elif state == _OPTION:
                self._state = _DATA
                self._option(self._verb, byte)
            elif state == _SUB_IAC:
                self._sub_iac(byte)
            elif byte == IAC:
                self._state = _SUB_IAC
            elif len(self._sub) < _MOST:
                self._sub.append(byte)
        return bytes(keys)

    def _data(self, byte: int, keys: bytearray) -> None:
        after_cr, self._state = self._state == _CR, _DATA
        if byte == IAC:
            self._state = _IAC
        elif byte == 13:
            keys.append(13)
            self._state = _CR
        elif byte == 10:
            if not after_cr:
                keys += b"\r\n"  # as the terminal's line discipline would have it: CR LF, each of which ends a line
        elif byte or not after_cr:
            keys.append(byte)

    def _command(self, byte: int, keys: bytearray) -> None:
        self._state = _DATA
        if byte in (WILL, WONT, DO, DONT):
            self._verb, self._state = byte, _OPTION
        elif byte == SB:
            self._sub.clear()
            self._state = _SUB
        elif byte == IAC:
            keys.append(IAC)
        elif byte == AYT:
            self._answer(ANSWER_TO_AYT)
        elif byte == ABORT_OUTPUT:
            self._answer(bytes((IAC, DATA_MARK)))
        else:
            keys += _COMMANDS.get(byte, b"")
            self.ended |= byte == END_OF_FILE

    def _option(self, verb: int, option: int) -> None:
        on = verb in (WILL, DO)
        theirs = verb in (WILL, WONT)
        state, able = (self._they, _THEIRS) if theirs else (self._we, _OURS)
        yes, no = (DO, DONT) if theirs else (WILL, WONT)
        if (yes, option) in self._awaited:
            self._awaited.discard((yes, option))
            state[option] = on
            if on and theirs and option == LFLOW:
                self._answer(bytes((IAC, SB, LFLOW, 3, IAC, SE)))  # any character restarts what XOFF stopped
        elif on and not theirs and option in (TIMING_MARK, LOGOUT):
            self._say(WILL, option)
        elif on and option not in able:
            self._say(no, option)
        elif on != state.get(option, False):
            state[option] = on
            self._say(yes if on else no, option)
            if not on and option == SGA and not theirs:  # a console works a character at a time, or not at all
                state[option] = True
                self._awaited.add((WILL, SGA))
                self._say(WILL, option)

    def _say(self, verb: int, option: int) -> None:
        self._answer(bytes((IAC, verb, option)))

    def _sub_iac(self, byte: int) -> None:
        self._state = _SUB
        if byte == SE:
            self._state = _DATA
            self._said(bytes(self._sub))
        elif byte == IAC and len(self._sub) < _MOST:
            self._sub.append(IAC)

    def _said(self, said: bytes) -> None:
        """A subnegotiation: an option, and what there is to say about it."""
        option, rest = said[:1], said[1:]
        if option == bytes((NAWS,)) and len(rest) == 4:
            columns, rows = int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:], "big")
            self.size = (columns, rows) if columns else None
        elif option == bytes((TTYPE,)) and rest[:1] == b"\0":
            self.terminal = rest[1:].decode("ascii", "replace").lower()
        elif said == bytes((STATUS, 1)) and self._we.get(STATUS):
            self._answer(self._status())

    def _status(self) -> bytes:
        found = bytearray((IAC, SB, STATUS, 0))
        for option in range(256):
            if self._we.get(option):
                found += bytes((WILL, option))
            if self._they.get(option):
                found += bytes((DO, option))
        if self._they.get(LFLOW):
            found += bytes((SB, LFLOW, 1, SE))
        return bytes(found) + bytes((IAC, SE))
