"""What a line, a key and a range mean: plain calls."""

import pytest

from runtime.console._editor import Editor
from runtime.console._history import History
from runtime.console._telnet import Telnet
from runtime.console._words import LineError, RangeError, expand, split


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  show   version ", ["show", "version"]),
        ('"a b" c', ["a b", "c"]),
        (r'"a\n\t\"\\" x', ['a\n\t"\\', "x"]),
        (r"'a\n' b", [r"a\n", "b"]),
        (r"a\ b c", ["a b", "c"]),
        ('//x[@id="a"]', ['//x[@id="a"]']),
        ("", []),
    ],
)
def test_a_line_is_split_at_blanks_outside_quotes(line: str, words: list[str]) -> None:
    assert split(line) == words


def test_a_quote_that_is_not_closed_and_too_many_words_are_told() -> None:
    with pytest.raises(LineError, match="Error at offset: 14"):
        split('show "version')
    with pytest.raises(LineError, match="too long"):
        split("x " * 2049)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1..3", ["1", "2", "3"]),
        ("3..1", ["3", "2", "1"]),
        ("1,3..7", ["1", "3", "5", "7"]),
        ("-1..1", ["-1", "0", "1"]),
        ("1,4,9", ["1", "4", "9"]),
        ("10.0.0.0/30", ["10.0.0.1", "10.0.0.2"]),
        ("full:10.0.0.0/30", ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    ],
)
def test_a_range_is_numbers_a_list_or_addresses(text: str, items: list[str]) -> None:
    assert expand(text) == items


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b", "cannot understand range"),
        ("9,8..20", "mixed up sequence"),
        ("1,1..5", "mixed up sequence"),
        ("10.0.0.0/99", "invalid netmask"),
        ("10.0.0.0/", "invalid netmask"),
        ("x/24", "could not parse IP address"),
        ("10.0.0.0/16", "more than 256 addresses"),
        ("1..100000000", "more than 65536 items"),
        ("", "cannot understand range"),
    ],
)
def test_a_range_that_is_none_says_why(text: str, why: str) -> None:
    with pytest.raises(RangeError, match=why):
        expand(text)


class Screen:
    """A terminal of one row: what the editor shows on it."""

    def __init__(self, prompt: str = "# ", names: tuple[str, ...] = ()) -> None:
        self.row: list[str] = []
        self.at = 0
        self.shown = ""
        self.history = History()
        self.editor = Editor(self.show, self.history, lambda before: names)
        self.editor.prompt = prompt
        self.editor.draw()

    def show(self, text: str) -> None:
        self.shown += text
        for character in text:
            if character == "\r":
                self.at = 0
            elif character == "\n":
                self.row, self.at = [], 0
            elif character == "\b":
                self.at -= 1
            elif character != "\a":
                self.row[self.at : self.at + 1] = [character]
                self.at += 1

    def type(self, keys: str) -> "tuple[str, int]":
        """What the row shows, without blanks at its end, and where its cursor is."""
        why, _ = self.editor.feed(keys)
        if why == "line":
            self.history.add(self.editor.take())
            self.editor.draw()
        return "".join(self.row).rstrip(" "), self.at


@pytest.mark.parametrize(
    ("keys", "row", "cursor"),
    [
        ("abc", "# abc", 5),
        ("abc\x01X", "# Xabc", 3),
        ("abc\x02\x02\x04", "# ac", 3),
        ("abc\x7f\x7f", "# a", 3),
        ("one two\x15", "#", 2),
        ("one two\x02\x0b", "# one tw", 8),
        ("one two\x02\x02\x02\x0b\x01\x19", "# twoone", 5),
        ("ab\x14", "# ba", 4),
        ("one two\x1bb\x1bu", "# one TWO", 9),
        ("one two\x1b\x7f", "# one", 6),
        ("abc\x1b[D\x1b[D\x1b[3~", "# ac", 3),
        ("abc\x1b[Hx\x1b[Fy", "# xabcy", 7),
        ("a\x16\x01b", "# a^Ab", 6),
        ("gr\xfc\xdfe\x02\x02\x7f", "# gr\xdfe", 4),
        ("漢字\x02x", "# 漢x字", 5),
    ],
)
def test_keys_edit_the_line_and_the_terminal_shows_it(keys: str, row: str, cursor: int) -> None:
    screen = Screen()
    shown, at = screen.type(keys)
    if "漢" not in keys:  # a row of cells that are two columns wide is not what Screen models
        assert (shown, at) == (row, cursor)
    assert ("# " + screen.editor.line.replace("\x01", "^A")).rstrip() == row


def test_history_goes_back_and_forth_and_by_what_a_line_begins_with() -> None:
    screen = Screen()
    for line in ("first one", "second", "first two"):
        screen.type(line + "\r")
    assert screen.type("typed\x10")[0] == "# first two"
    assert screen.type("\x10")[0] == "# second"
    assert screen.type("\x0e\x0e")[0] == "# typed"
    assert screen.type("\x15fir\x1bp")[0] == "# first two"
    assert screen.type("\x1bp")[0] == "# first one"
    assert screen.type("\x1bn")[0] == "# first two"


def test_a_word_is_completed_as_far_as_all_agree_and_listed_at_the_second_tab() -> None:
    screen = Screen(names=("show", "shutdown", "apply"))
    assert screen.type("a\t") == ("# apply", 8)
    assert screen.type("\x15s\t")[0] == "# sh"
    assert screen.shown.endswith("\ah")
    screen.shown = ""
    screen.type("\t")
    assert screen.shown == "\r\nshow      shutdown  \r\n\r\n# sh"


def test_a_history_file_is_kept_from_one_console_to_the_next(tmp_path: object) -> None:
    path = f"{tmp_path}/history"
    first = History(path)
    for line in ("show version", "", "exit", "log to demo x"):
        first.add(line)
    again = History(path)
    assert again.older("") == "log to demo x"
    assert again.older("") == "show version"
    assert again.older("") is None
    refused = History(f"{tmp_path}/none/history")
    refused.add("x")
    assert "No such file" in refused.failure


def test_a_storm_of_options_is_answered_once_a_change_and_long_ones_are_cut() -> None:
    answers: list[bytes] = []
    telnet = Telnet(answers.append)
    telnet.start()
    for _ in range(1000):
        assert telnet.receive(b"\xff\xfd\x03\xff\xfb\x1f\xff\xfc\x63") == b""
    assert answers == []
    for _ in range(1000):
        telnet.receive(b"\xff\xfe\x03")
    assert len(answers) <= 2
    assert telnet.receive(b"\xff\xfa\x18\x00" + b"x" * 100000 + b"\xff\xf0abc\r\n") == b"abc\r"
    assert len(telnet.terminal) < 1000


@pytest.mark.parametrize("at", range(1, 20))
def test_telnet_bytes_mean_the_same_however_they_are_torn(at: int) -> None:
    data = b"a\xff\xfa\x1f\x00\x64\x00\x28\xff\xf0b\xff\xff\r\nc\r\0d\n"
    whole = Telnet(lambda _: None)
    torn = Telnet(lambda _: None)
    assert torn.receive(data[:at]) + torn.receive(data[at:]) == whole.receive(data) == b"ab\xff\rc\rd\r\n"
    assert torn.size == (100, 40)
