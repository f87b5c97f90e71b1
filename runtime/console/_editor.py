"""The line a console's user types: keys in, a line out, and what the terminal is to show.  Manual: Console.

Emacs keys, history, completion.  The terminal is taken to know backspace, carriage return and bell, and where it knows
more (``smart``), to clear to the end of a line and to move to a column.  No I/O: everything to show goes through
:attr:`Editor.show`.
"""

import codecs
import re
import unicodedata
from collections.abc import Callable, Sequence

from ._history import History

Candidates = Callable[[str], Sequence[str]]
"""What may stand for the last word of the line so far."""

MOST = 1 << 20
"""Characters of a line; what is typed beyond rings the bell."""

BELL = "\a"
BREAKS = " \t\n\"\\'`@$><=;|&{("
"""A word to be completed begins after one of these."""

_PRINTABLE = re.compile(r"[ -~]+")
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;]*[@-~]|O[A-Za-z]|[^\[O])")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-9;]{0,16}|O)?\Z")
_ARROWS = {"A": "\x10", "B": "\x0e", "C": "\x06", "D": "\x02", "H": "\x01", "F": "\x05"}
_NUMBERED = {"1": "\x01", "7": "\x01", "4": "\x05", "8": "\x05", "3": "delete"}


class Editor:
    """One line at a time.

    ``prompt`` is shown before it; ``width``, the terminal's columns.  :meth:`feed` returns what was entered."""

    def __init__(self, show: Callable[[str], object], history: History, candidates: Candidates) -> None:
        self.show = show
        self.history = history
        self.prompt = ""
        self.width = 80
        self.smart = False
        self._candidates = candidates
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._line = ""
        self._point = 0
        self._mark = 0
        self._killed = ""
        self._waiting = ""  # an escape sequence that is not whole yet
        self._literal = False
        self._returned = False  # the key before was the CR of a line's end
        self._tabs = 0
        self._searched: str | None = None
        self._keys: dict[str, Callable[[], object]] = {
            "\x00": self._set_mark,
            "\x01": lambda: self._move(0),
            "\x02": lambda: self._move(self._point - 1),
            "\x04": self._delete,
            "\x05": lambda: self._move(len(self._line)),
            "\x06": lambda: self._move(self._point + 1),
            "\x08": self._rub_out,
            "\x0b": lambda: self._kill(self._point, len(self._line)),
            "\x0c": self.redraw,
            "\x0e": lambda: self._recall(self.history.newer()),
            "\x10": lambda: self._recall(self.history.older(self._line)),
            "\x12": self.redraw,
            "\x14": self._transpose,
            "\x15": lambda: self._kill(0, len(self._line)),
            "\x16": self._take_literally,
            "\x17": lambda: self._kill(*sorted((min(self._mark, len(self._line)), self._point))),
            "\x19": lambda: self._insert(self._killed),
            "\x7f": self._rub_out,
            "delete": self._delete,
        }
        self._meta: dict[str, Callable[[], object]] = {
            " ": self._set_mark,
            "b": lambda: self._move(self._word_before()),
            "f": lambda: self._move(self._word_behind()),
            "d": lambda: self._kill(self._point, self._word_behind()),
            "\x7f": lambda: self._kill(self._word_before(), self._point),
            "\x08": lambda: self._kill(self._word_before(), self._point),
            "c": lambda: self._change_word(str.capitalize),
            "l": lambda: self._change_word(str.lower),
            "u": lambda: self._change_word(str.upper),
            "p": lambda: self._search(self.history.older_like),
            "n": lambda: self._search(self.history.newer_like),
        }

    @property
    def line(self) -> str:
        """What is typed so far."""
        return self._line

    def decode(self, data: bytes) -> str:
        """*data*, typed behind what came before, as text; bytes that are none as surrogates."""
        return self._decoder.decode(data)

    def feed(self, text: str) -> tuple[str, str]:
        """Take keys up to the first that ends the line; returns why it ended, and the keys behind.

        Why: "" not yet, "line", "feed" (the second half of a newline that is CR LF, which ends a line of its own),
        "interrupt" (^C), "end" (^D on an empty line)."""
        if self._returned and text:
            self._returned = False
            if text[0] == "\n":
                return "feed", text[1:]
        text, self._waiting = self._waiting + text, ""
        at, end = 0, len(text)
        while at < end:
            key = text[at]
            if self._literal:
                self._literal = False
                self._insert(key)
                at += 1
                continue
            if " " <= key <= "~":
                run = _PRINTABLE.match(text, at)
                assert run is not None
                self._insert(run.group())
                at = run.end()
                continue
            if key == "\x1b":
                at = self._escaped(text, at)
                continue
            at += 1
            if key in "\r\n":
                self.show("\r\n")
                self._returned = key == "\r"
                return "line", text[at:]
            if key == "\x03":
                return "interrupt", text[at:]
            if key == "\x04" and not self._line:
                self.show("^D\b\b")
                return "end", text[at:]
            self._key(key)
        return "", ""

    def take(self) -> str:
        """The line, which is empty afterwards."""
        line, self._line = self._line, ""
        self._point = self._mark = self._tabs = 0
        self._searched = None
        self.history.begin()
        return line

    def redraw(self) -> None:
        """Show prompt and line anew, on a line of their own."""
        self.show("\r\n")
        self.draw()

    def draw(self) -> None:
        """Show prompt and line where the cursor is, at the beginning of a row."""
        self.show(self.prompt + _shown(self._line))
        self._back(self._column(len(self._line)), self._column(self._point))

    def hide(self) -> None:
        """Take prompt and line off the terminal: something else is to be shown there."""
        width = self._column(len(self._line))
        self.show("\r\x1b[K" if self.smart else "\r" + " " * width + "\r")

    # Keys

    def _key(self, key: str) -> None:
        if key == "\t":
            self._complete()
            return
        self._tabs = 0
        action = self._keys.get(key)
        if action is not None:
            action()
        elif key >= "\xa0" and not "\ud800" <= key <= "\udfff":
            self._insert(key)
        elif key != "\x11" and key != "\x13":  # XON, XOFF: the terminal's business
            self.show(BELL)

    def _escaped(self, text: str, at: int) -> int:
        """Take the sequence that begins at *at*, or keep it until it is whole; where *text* goes on."""
        sequence = _SEQUENCE.match(text, at)
        if sequence is not None:
            self._escape(sequence.group()[1:])
            return sequence.end()
        if _UNFINISHED.match(text, at):
            self._waiting = text[at:]
        else:
            self.show(BELL)
        return len(text)

    def _escape(self, sequence: str) -> None:
        self._tabs = 0
        kind = sequence[0]
        if kind == "[" and sequence[-1] == "~":
            self._press(_NUMBERED.get(sequence[1:-1].split(";")[0]))
        elif kind in "[O" and len(sequence) > 1:
            self._press(_ARROWS.get(sequence[-1]))
        elif kind.lower() in self._meta:
            self._meta[kind.lower()]()
        else:
            self.show(BELL)

    def _press(self, key: str | None) -> None:
        if key is None:
            self.show(BELL)
        else:
            self._keys[key]()

    def _insert(self, text: str) -> None:
        self._tabs = 0
        room = MOST - len(self._line)
        if len(text) > room:
            self.show(BELL)
            text = text[: max(0, room)]
        if not text:
            return
        if self._point == len(self._line):
            self._line += text
            self._point += len(text)
            self.show(_shown(text))
        else:
            self._become(self._line[: self._point] + text + self._line[self._point :], self._point + len(text))

    def _rub_out(self) -> None:
        if not self._point:
            self.show(BELL)
            return
        self._become(self._line[: self._point - 1] + self._line[self._point :], self._point - 1)

    def _delete(self) -> None:
        if self._point == len(self._line):
            self._list()
            return
        self._become(self._line[: self._point] + self._line[self._point + 1 :], self._point)

    def _kill(self, start: int, end: int) -> None:
        self._killed = self._line[start:end]
        self._mark = start
        self._become(self._line[:start] + self._line[end:], start)

    def _transpose(self) -> None:
        at = self._point
        if at < len(self._line):
            at += 1
        if at < 2:
            self.show(BELL)
            return
        line = self._line
        self._become(line[: at - 2] + line[at - 1] + line[at - 2] + line[at:], at)

    def _set_mark(self) -> None:
        self._mark = self._point

    def _take_literally(self) -> None:
        self._literal = True

    def _move(self, point: int) -> None:
        if not 0 <= point <= len(self._line):
            self.show(BELL)
        else:
            self._become(self._line, point)

    def _word_before(self) -> int:
        at = self._point
        while at and not self._line[at - 1].isalnum():
            at -= 1
        while at and self._line[at - 1].isalnum():
            at -= 1
        return at

    def _word_behind(self) -> int:
        at, end = self._point, len(self._line)
        while at < end and not self._line[at].isalnum():
            at += 1
        while at < end and self._line[at].isalnum():
            at += 1
        return at

    def _change_word(self, change: Callable[[str], str]) -> None:
        end = self._word_behind()
        line, word = self._line, self._line[self._point : end]
        start = len(word) - len(word.lstrip())
        self._become(line[: self._point] + word[:start] + change(word[start:]) + line[end:], end)

    def _recall(self, line: str | None) -> None:
        if line is None:
            self.show(BELL)
        else:
            self._become(line, len(line))

    def _search(self, look: Callable[[str, str], str | None]) -> None:
        if self._searched is None or not self._line.startswith(self._searched):
            self._searched = self._line[: self._point]
        self._recall(look(self._searched, self._line))

    # Completion

    def _matches(self) -> tuple[str, list[str]]:
        """The word under the cursor, and what it may become."""
        before = self._line[: self._point]
        start = max((before.rfind(each) for each in BREAKS), default=-1) + 1
        word = before[start:]
        return word, sorted({each for each in self._candidates(before) if each.startswith(word)})

    def _complete(self) -> None:
        self._tabs += 1
        word, found = self._matches()
        if not found:
            return
        common = found[0]
        for each in found[1:]:
            while not each.startswith(common):
                common = common[:-1]
        if self._tabs > 1 and len(found) > 1 and common == word:
            self._list()
            return
        tabs = self._tabs
        if len(found) > 1:
            self.show(BELL)
        rest = common[len(word) :]
        if len(found) == 1 and not common.endswith("/"):
            rest += " "
        self._insert(rest)
        self._tabs = tabs

    def _list(self) -> None:
        found = self._matches()[1]
        if not found:
            self.show(BELL)
            return
        widest = max(map(len, found)) + 2
        columns = max(1, self.width // widest)
        rows = [found[at : at + columns] for at in range(0, len(found), columns)]
        self.show("\r\n" + "".join("".join(each.ljust(widest) for each in row) + "\r\n" for row in rows))
        self.redraw()

    # What the terminal shows

    def _column(self, point: int) -> int:
        return len(self.prompt) + _cells(self._line[:point])

    def _become(self, line: str, point: int) -> None:
        """Have the terminal, which shows the line and its cursor, show *line* with the cursor at *point*."""
        before, self._line = self._line, line
        cursor = len(self.prompt) + _cells(before[: self._point])
        self._point = point
        shown, wanted = before.rstrip(" "), line.rstrip(" ")
        longest = max(len(shown), len(wanted))
        if shown != wanted:
            padded, new = shown.ljust(longest), wanted.ljust(longest)
            same = next(at for at in range(longest) if padded[at] != new[at])
            cursor = self._travel(cursor, len(self.prompt) + _cells(new[:same]), new[:same])
            self.show(_shown(wanted[same:]))
            cursor += _cells(wanted[same:])
            left = _cells(shown[same:]) - _cells(wanted[same:])
            if left > 0 and self.smart:
                self.show("\x1b[K")
            elif left > 0:
                self.show(" " * left)
                cursor += left
        self._travel(cursor, self._column(point), line[:point])

    def _travel(self, cursor: int, column: int, before: str) -> int:
        """Move the cursor to *column*, where *before* ends; returns that."""
        if column < cursor:
            self._back(cursor, column, before)
        elif column > cursor:
            prompt = len(self.prompt)
            self.show(_shown_from(before, cursor - prompt))
        return column

    def _back(self, cursor: int, column: int, before: str | None = None) -> None:
        distance = cursor - column
        if self.smart and distance > 4:
            self.show(f"\x1b[{column + 1}G")
        elif distance > column and before is not None:
            self.show("\r" + self.prompt + _shown(before))
        else:
            self.show("\b" * distance)


def _shown(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_character, text))


def _character(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}"
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))


def _cells(text: str) -> int:
    """Columns that *text* takes."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(_width(each) for each in _shown(text))


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shown_from(text: str, cells: int) -> str:
    """What is shown of *text* behind its first *cells* columns."""
    at = 0
    while at < len(text) and cells > 0:
        cells -= _cells(text[at])
        at += 1
    return _shown(text[at:])
