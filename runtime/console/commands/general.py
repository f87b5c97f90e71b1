"""What stands in every level: ``apply`` and ``help``; and ``exit``."""

from runtime.console import _words
from runtime.console._console import Console, choices
from runtime.console._grammar import Command, Registry, everywhere, furnish

USAGE = "apply <name> <range> cmd ...\n"


def install(registry: Registry) -> None:
    """Enter them."""
    everywhere(Command("apply", apply, about="apply NAME RANGE COMMAND: run COMMAND for each of RANGE as {NAME}"))
    everywhere(Command("help", help_, complete=_topics, about="help COMMAND: what it does"))
    furnish(registry.top)
    registry.add("exit", leave, about="leave this level; from the first, close the console")


def apply(console: Console, words: list[str]) -> None:
    """``apply NAME RANGE WORD…``: the command once for each item, with ``{NAME}`` replaced in each of its words."""
    if len(words) < 4 and len(words) < 3:
        console.print(USAGE)
        return
    name, text, *command = words
    try:
        items = _words.expand(text)
    except _words.RangeError as mistake:
        console.print(f"apply error: '{text}' range produced nothing [{mistake}]\n")
        return
    console.do_next([each.replace(f"{{{name}}}", item) for each in command] for item in items)


def help_(console: Console, words: list[str]) -> None:
    """``help [WORD…]``."""
    if not words:
        above = "".join(f" -> '{level.name}'\n" for level in console.levels[1:])
        console.print(f"{above}\n= Commands =\n{choices(console.level)}")
        return
    console.print(f"Help for '{' '.join(words)}':\n")
    level, about = console.level, None
    for word in words:
        found = level.matching(word)
        if len(found) != 1:
            console.print("command not understood.\n")
            return
        about = found[0]
        if about.level is None:
            break
        level = about.level
    assert about is not None
    if about.about:
        console.print(f"{about.about}\n")
    if about.level is not None:
        console.print(choices(about.level))


def leave(console: Console, words: list[str]) -> None:
    """``exit``."""
    if words:
        console.print("no arguments allowed to this command.\n")
    else:
        console.leave()


def _topics(console: Console, words: list[str]) -> list[str]:
    level = console.level
    for word in words[:-1]:
        found = level.matching(word)
        if len(found) != 1 or found[0].level is None:
            return []
        level = found[0].level
    return level.names()
