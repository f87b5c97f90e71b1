"""Commands that programs add, and what is asked of the grammar."""

from collections.abc import Iterator

import pytest
from serving import client, received

from runtime import conf, console, net
from runtime.console import register_command, register_parameter
from runtime.console._console import complete, dispatch
from runtime.console._grammar import Command, Level, Registry
from runtime.console.commands import configure
from runtime.eventer import Pool


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


@pytest.fixture
def parameters(monkeypatch: pytest.MonkeyPatch) -> Iterator[conf.Conf]:
    """Nothing can be set yet, and the configuration has a shop."""
    monkeypatch.setattr(configure, "_parameters", {})
    made = conf.loads(b"<app><shop><price>1</price></shop></app>")
    conf.set_current(made)
    yield made
    conf.set_current(conf.loads(b"<app/>"))


def set_parameter(*words: str) -> str:
    console = Said(Level(name="top"))
    configure.set_(console, list(words))  # type: ignore[arg-type]
    return console.text


def test_a_parameter_of_a_programs_own_is_set_here_and_in_the_configuration(parameters: conf.Conf) -> None:
    taken: list[str] = []

    def take(value: str) -> bool:
        taken.append(value)
        return value.isdecimal()

    register_parameter("price", take, "/app/shop/price")
    register_parameter("lost", take, "/app/none/price")
    register_parameter("wrong", take, "/app/[")
    register_parameter("noted", take)
    assert set_parameter("price", "2") == "set running config\nset on-disk config\n"
    assert (taken, parameters.get_string("/app/shop/price")) == (["2"], "2")
    assert set_parameter("price", "dear") == "error setting running config\n"
    assert parameters.get_string("/app/shop/price") == "2"
    assert set_parameter("noted", "3") == "set running config\n"
    for name in ("lost", "wrong"):
        before, _, why = set_parameter(name, "4").partition("error setting on-disk config\n")
        assert before == "set running config\n" and "/app/" in why


def test_a_client_that_says_nothing_is_left_after_the_idle_timeout(loops: Pool) -> None:
    listener = net.open_listener("mtev_console", "127.0.0.1", 0, {"idle_timeout": "300"})
    console.mount([listener])
    listener.start()
    try:
        with client(listener.port) as silent, client(listener.port) as other:
            other.sendall(b"nothing\n")
            assert received(silent).startswith(b"mtev: (no auth)")
            assert b"No such command: 'nothing'" in received(other)
    finally:
        listener.close()
