"""The grammar of a console: levels of commands, found by any prefix that only one has.

What a command does, and for whom, this file does not know.  Manual: Console.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._console import Console

Function = Callable[["Console", list[str]], object]
"""``function(console, words)``: runs a command with the words behind its name, on the console's loop thread."""

Completer = Callable[["Console", list[str]], Iterable[str]]
"""What may stand for the last of the words behind a command's name; those that do not fit are left out later."""

WHOLE = "exit"
"""The command whose name is not shortened."""


@dataclass
class Command:
    """A name, and either what it does or the level it opens.  ``about``: one line for ``help NAME``; ``listed``:
    whether it is there now."""

    name: str
    function: Function | None = None
    level: "Level | None" = None
    complete: Completer | None = None
    about: str = ""
    listed: Callable[[], bool] = lambda: True


@dataclass
class Level:
    """The commands that may stand in one place.

    ``rest`` takes whole lines that no command of the level is: ``rest(console, line)``.  ``inside``: for a level that
    a console enters, the prompt."""

    commands: dict[str, Command] = field(default_factory=dict)
    rest: Callable[["Console", str], object] | None = None
    inside: "Callable[[Console], str] | None" = None
    name: str = ""

    def add(self, command: Command) -> None:
        """Enter *command*, in place of one with its name."""
        self.commands[command.name.lower()] = command

    def names(self) -> list[str]:
        """Those that are listed, in order."""
        return sorted(name for name, command in self.commands.items() if command.listed())

    def matching(self, word: str) -> list[Command]:
        """The command called *word* in any case, else those that begin with it; of those that are listed."""
        word, names = word.lower(), self.names()
        if word in names:
            return [self.commands[word]]
        return [self.commands[name] for name in names if name.startswith(word) and name != WHOLE]


class Registry:
    """The levels of the program: a tree from its top, to be added to by path."""

    def __init__(self) -> None:
        self.top = Level(name="")

    def level(self, *path: str) -> Level:
        """The level that the words of *path* lead to; made where there is none.

        Raises ValueError when one of them is a command that opens no level."""
        here = self.top
        for word in path:
            command = here.commands.get(word.lower())
            if command is None:
                command = Command(word, level=Level(name=word))
                here.add(command)
                furnish(command.level)
            if command.level is None:
                raise ValueError(f"'{word}' is a command: nothing can be below it")
            here = command.level
        return here

    def add(
        self,
        path: str,
        function: Function,
        *,
        complete: Completer | None = None,
        about: str = "",
        listed: Callable[[], bool] = lambda: True,
    ) -> None:
        """Have the words *path*, separated by blanks, run *function*.

        Raises ValueError for an empty path, or one below a command."""
        *above, name = path.split() or [""]
        if not name:
            raise ValueError("a command needs a name")
        self.level(*above).add(Command(name, function, None, complete, about, listed))


_everywhere: list[Command] = []


def everywhere(command: Command) -> None:
    """Have *command* in every level that is made from now on."""
    _everywhere.append(command)


def furnish(level: Level | None) -> None:
    """Give *level* the commands that are everywhere."""
    assert level is not None
    for command in _everywhere:
        level.add(command)
