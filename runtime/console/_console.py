"""One console: the levels its user is in, the commands that wait, and what is printed to him.  Manual: Console.

Commands run on the console's loop thread, one after the other.  One that needs an answer from elsewhere takes it with
:meth:`Console.later`; what was entered meanwhile waits.  Where bytes come from and go to, a front end knows.
"""

import traceback
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakValueDictionary

from runtime import eventer, hooks, log

from . import _words
from ._grammar import WHOLE, Command, Level
from ._outlet import outlet

DISPATCH = hooks.declare("mtev_console_dispatch")
"""``(console, line)`` before a line is run; what is not CONTINUE keeps it from that.  Manual: mtev_console_dispatch."""

_described: "WeakValueDictionary[int, Console]" = WeakValueDictionary()

Later = Callable[..., object]


class Console:
    """A console.  All methods belong on its loop thread, ``home``, but for what :meth:`later` returns.

    Attributes: ``out``, called with each text printed; ``ended``, called once when it is over; ``idle``, called
    whenever all that was entered is done; ``clogged``, whether nobody takes what is printed, so that commands wait and
    lines of logs are lost; ``name``, of the log stream that prints here; ``levels``; ``facts``, for
    commands to keep things in; ``is_open``; ``columns``."""

    def __init__(
        self,
        top: Level,
        name: str,
        out: Callable[[str], object],
        *,
        log_format: str = "plain",
        log_out: Callable[[bytes], object] | None = None,
    ) -> None:
        self.home = eventer.current()
        self.levels = [top]
        self.name = name
        self.out = out
        self.is_open = True
        self.columns = 80
        self.facts: dict[str, Any] = {}
        self.ended: Callable[[], object] = lambda: None
        self.idle: Callable[[], object] = lambda: None
        self.clogged: Callable[[], bool] = lambda: False
        self.on_interrupt: Callable[[], object] | None = None
        self.forget_lines: Callable[[], object] | None = None  # set while lines that were entered want more of them
        self._work: deque[str | list[str]] = deque()
        self._awaited = 0  # which answer is awaited; 0: none
        self._last = 0
        self._running = False
        self._log_out = log_out or (lambda line: out(line.decode("utf-8", "replace")))
        self.stream, self._outlet = outlet(name, log_format)
        self._outlet.bind(self)

    def described(self) -> dict[str, Any]:
        """What hooks in Lua get of it; by the number in it, :func:`find` does."""
        _described[id(self)] = self
        return {"console": id(self), "name": self.name}

    def __repr__(self) -> str:
        return f"<Console {self.name}>"

    @property
    def level(self) -> Level:
        """The level whose commands are understood now."""
        return self.levels[-1]

    @property
    def waiting(self) -> bool:
        """Whether a command is under way, or waits for its turn."""
        return bool(self._awaited or self._work or self._running)

    def print(self, text: str) -> None:
        """Show *text*, whose lines end in a newline."""
        if self.is_open and text:
            self.out(text)

    def log_line(self, line: bytes) -> None:
        """Show *line* of a log."""
        if self.is_open:
            self._log_out(line)

    def prompt(self) -> str:
        """What is shown when a line may be typed."""
        inside = self.level.inside
        return inside(self) if inside is not None else ""

    # Lines and commands

    def enter(self, line: str) -> None:
        """Run *line* when those before it are done."""
        self._work.append(line)
        self._advance()

    def enter_words(self, words: list[str]) -> None:
        """The same with a command that is split into words already."""
        self._work.append(words)
        self._advance()

    def do_next(self, commands: Iterable[list[str]]) -> None:
        """Run *commands*, each a list of words, before anything else that waits."""
        self._work.extendleft(reversed(list(commands)))

    def later(self, then: Later) -> Later:
        """A function that takes the answer which the running command awaits, and has *then* called with it here.

        It may be called from any thread, and only its first call counts."""
        self._last += 1
        self._awaited = number = self._last

        def come(*answer: Any) -> None:
            if self._awaited != number:
                return
            self._awaited = 0
            self.on_interrupt = None
            self._running = True
            try:
                self._guarded(then, *answer)
            finally:
                self._running = False
            self._advance()

        return lambda *answer: self.home.post(come, *answer)

    def interrupt(self) -> bool:
        """Give up the command that is under way, all that wait, and lines that want more; whether there were any."""
        had = self.waiting or self.forget_lines is not None
        self._work.clear()
        undo, self.on_interrupt = self.on_interrupt or self.forget_lines, None
        self.forget_lines = None
        self._awaited = 0
        if undo is not None:
            self._guarded(undo)
        return had

    def run(self, words: list[str]) -> None:
        """Run the command that *words* are, at the level of the moment."""
        dispatch(self, self.level, words)

    def go_into(self, level: Level) -> None:
        """Have the lines that follow belong to *level*."""
        self.levels.append(level)

    def leave(self) -> None:
        """Back to the level before; from the first, out."""
        if len(self.levels) > 1:
            self.levels.pop()
        else:
            self.close()

    def close(self) -> None:
        """Be over."""
        if not self.is_open:
            return
        self.is_open = False
        self.interrupt()
        self._outlet.unbind(self)
        self.stream.detach()
        self.ended()

    def _advance(self) -> None:
        if self._running:
            return
        self._running = True
        mine = eventer.Slice()
        try:
            while self._work and not self._awaited and self.is_open and not self.clogged():
                self._guarded(self._run, self._work.popleft())
                if self._work and mine.is_over():
                    self.home.post(self._advance)
                    break
        finally:
            self._running = False
        if self.is_open and not self._awaited and not self._work:
            self.idle()

    def go_on(self) -> None:
        """What was printed has been taken: :attr:`clogged` says no again."""
        if self._work:
            self._advance()

    def _run(self, work: str | list[str]) -> None:
        if isinstance(work, list):
            self.run(work)
            return
        if DISPATCH.exists() and DISPATCH.invoke(self, work) != hooks.CONTINUE:
            return
        rest = self.level.rest
        if rest is not None:
            if work.strip() == "?":
                _list(self, self.level, include_rest=True)
            elif work.strip() == WHOLE:
                self.run([WHOLE])
            else:
                rest(self, work)
            return
        try:
            words = _words.split(work)
        except _words.LineError as mistake:
            self.print(f"{mistake}\n")
            return
        if words:
            self.run(words)

    def _guarded(self, function: Callable[..., object], *args: Any) -> None:
        try:
            function(*args)
        except Exception as failure:
            self.print(f"command failed: {type(failure).__name__}: {failure}\n")
            log.error.log(f"{self!r}: a command failed\n{traceback.format_exc()}")

    def candidates(self, before: str) -> list[str]:
        """What may stand at the end of the line *before*: the whole last words."""
        if self.level.rest is not None:
            return []
        return complete(self, before)


def dispatch(console: Console, level: Level, words: list[str]) -> None:
    """Run the command *words* of *level*, or say why not."""
    first, rest = words[0], words[1:]
    if first == "?":
        _list(console, level)
        return
    found = level.matching(first)
    if not found:
        console.print(f"No such command: '{first}'\n")
    elif len(found) > 1:
        console.print(f"Ambiguous command: '{first}'\n" + "".join(f"\t{each.name}\n" for each in found))
    elif found[0].level is not None:
        if rest:
            dispatch(console, found[0].level, rest)
        else:
            console.print(choices(found[0].level) + "incomplete command.\n")
    else:
        assert found[0].function is not None
        found[0].function(console, rest)


def choices(level: Level) -> str:
    """The commands of *level* as they are shown to whoever has to name one."""
    return "".join(f"  ==> '{name}'\n" for name in level.names() if name != "help")


def _list(console: Console, level: Level, include_rest: bool = False) -> None:
    names = [WHOLE] if include_rest else level.names()
    if include_rest:
        names = ["", *names]
    console.print("".join(f"\t{name}\n" for name in names))


def complete(console: Console, before: str) -> list[str]:
    """The words that may end *before*."""
    try:
        words = _words.split(before)
    except _words.LineError:
        return []
    if not before or before[-1].isspace():
        words.append("")
    if len(words) > MOST_COMPLETED:
        return []
    level, command = console.level, None
    for at, word in enumerate(words[:-1]):
        found = level.matching(word)
        if len(found) != 1:
            return []
        command = found[0]
        if command.level is None:
            return _arguments(console, command, words[at + 1 :])
        level = command.level
    return level.names()


MOST_COMPLETED = 32
"""Words of a line that is completed."""


def _arguments(console: Console, command: Command, words: list[str]) -> list[str]:
    if command.complete is None:
        return []
    try:
        return list(command.complete(console, words))
    except Exception:
        log.error.log(f"{console!r}: completion of {command.name} failed\n{traceback.format_exc()}")
        return []


def find(number: int) -> Console | None:
    """The console that was described with that number, while it is there.  From any thread."""
    return _described.get(number)
