"""Commands that programs add, and what is asked of the grammar."""

import pytest

from runtime.console import register_command
from runtime.console._console import complete, dispatch
from runtime.console._grammar import Command, Level, Registry


class Said:
    """As much of a console as the grammar needs."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.text = ""
        self.facts: dict[str, object] = {}

    def print(self, text: str) -> None:
        self.text += text


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    made.add("show sessions", lambda console, words: console.print(f"sessions {words}\n"), about="who is here")
    made.add("show settings", lambda console, words: None)
    made.add("exit", lambda console, words: None)
    made.add("hidden", lambda console, words: None, listed=lambda: False)
    return made


def said(registry: Registry, *words: str) -> str:
    console = Said(registry.top)
    dispatch(console, registry.top, list(words))  # type: ignore[arg-type]
    return console.text


def test_a_command_is_found_by_what_only_it_begins_with(registry: Registry) -> None:
    assert said(registry, "SH", "ses", "a") == "sessions ['a']\n"
    assert said(registry, "show", "se") == "Ambiguous command: 'se'\n\tsessions\n\tsettings\n"
    assert said(registry, "exi") == "No such command: 'exi'\n"
    assert said(registry, "hidden") == "No such command: 'hidden'\n"
    assert said(registry, "show") == "  ==> 'sessions'\n  ==> 'settings'\nincomplete command.\n"
    assert said(registry, "show", "?") == "\tsessions\n\tsettings\n"


def test_words_are_completed_level_by_level(registry: Registry) -> None:
    console = Said(registry.top)
    assert complete(console, "sh") == ["exit", "show"]  # type: ignore[arg-type]
    assert complete(console, "sh se") == ["sessions", "settings"]  # type: ignore[arg-type]
    assert complete(console, "nothing ") == []  # type: ignore[arg-type]


def test_a_path_that_leads_nowhere_is_refused(registry: Registry) -> None:
    with pytest.raises(ValueError, match="a command needs a name"):
        registry.add("  ", lambda console, words: None)
    with pytest.raises(ValueError, match="'sessions' is a command"):
        registry.add("show sessions now", lambda console, words: None)


def test_a_program_adds_commands_to_every_console() -> None:
    from runtime.console import registry as commands

    register_command("show cheeses", lambda console, words: console.print("gouda\n"), about="what there is")
    assert commands().level("show").matching("chee")[0].about == "what there is"
    assert isinstance(commands().level("show").commands.pop("cheeses"), Command)
