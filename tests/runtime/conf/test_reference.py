"""The examples of docs/reference/configuration.md hold."""

import re
from pathlib import Path

import pytest

from runtime import conf

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"
EXAMPLES = dict(re.findall(r"^```xml file=(\S+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE))
INCLUDED = {"child.conf", "snippet.conf"}


@pytest.fixture
def example(tmp_path):
    for name, content in EXAMPLES.items():
        (tmp_path / name).write_text(content)
    return lambda name: conf.load(tmp_path / name, app="example")


def test_every_example_has_a_file_name():
    assert PAGE.read_text().count("```xml") == len(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - INCLUDED))
def test_every_example_loads(example, name):
    assert example(name).root_name == "example"


def test_typed_values(example):
    loaded = example("application.conf")
    assert loaded.get_integer("/example/limits/connections") == 1024
    assert loaded.get_duration("/example/limits/idle") == 90.0
    assert loaded.get_boolean("//strict") is True
    assert loaded.get_string("/example/limits/missing") is None
    assert example("names.conf").get_string_list("/example/peers/peer", "name") == ["alpha", "beta"]


def test_environment(example, monkeypatch):
    loaded = example("environment.conf")
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.delenv("UPSTREAM", raising=False)
    assert loaded.get_integer("//listener/@port") == 2222
    assert loaded.get_string("//upstream") == "http://localhost:8080"
    monkeypatch.setenv("PORT", "80")
    assert loaded.get_integer("//listener/@port") == 80
    assert loaded.get_string("//literal") == "port ENV:2222:{PORT}"


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({"REGION": "eu-1"}, []),
        ({"SITE": "staging"}, ["always", "staging"]),
        ({"SITE": "", "REGION": "EU-1"}, ["always", "production", "european"]),
    ],
)
def test_require_env(example, monkeypatch, environment, on):
    for name in ("SITE", "REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    loaded = example("require_env.conf")
    assert [each.get("name") for each in loaded.get_sections("//service") if not loaded.env_off(each)] == on


@pytest.mark.parametrize(
    ("section", "foo", "quux", "config"),
    [
        ("a", "bar", None, {"key1": "val a 1", "key2": "val a 2"}),
        ("b", "bar", "baz", {"key1": "val b 1", "key2": "val a 2", "key3": "val b 3"}),
        ("c", "meme", "baz", {"key1": "val b 1", "key2": "val a 2", "key3": "val b 3"}),
    ],
)
def test_implicit_inheritance(example, section, foo, quux, config):
    loaded = example("simple.conf")
    found = loaded.get_section(f"//{section}")
    assert loaded.inherited(found, "foo") == foo
    assert loaded.get_string("ancestor-or-self::node()/@foo", found) == foo
    assert loaded.inherited(found, "quux") == quux
    assert loaded.get_hash(found, "config") == config


def test_explicit_inheritance(example):
    loaded = example("complex.conf")
    assert loaded.get_hash(loaded.get_section("/example")) == {"key1": "a", "key2": "b", "key3": "c"}
    assert loaded.get_hash(loaded.get_section("/example/config[@name='A']")) == {
        "key1": "AAA",
        "key2": "bobB",
        "key3": "c",
        "key4": "DDD",
        "key5": "bobE",
    }


def test_namespaces(example):
    loaded = example("namespaces.conf")
    service = loaded.get_section("//service")
    assert loaded.get_hash(service, "config") == {"name": "plain"}
    assert loaded.get_namespaced_hash(service, "config", "geo") == {"name": "where"}


def test_includes(example):
    loaded = example("including.conf")
    assert [[child.tag for child in include] for include in loaded.root] == [["foo"], ["bar", "baz"]]
    assert loaded.get_string("/example/foo|/example/include/foo") == "from the child"
    assert [include.read_only for include in loaded.includes] == [False, True]


def test_the_stack_takes_the_complete_example(example, monkeypatch, tmp_path):
    from runtime import eventer, http, log, net
    from runtime.conf import logs

    monkeypatch.chdir(tmp_path)
    (tmp_path / "public").mkdir()
    loaded = example("complete.conf")
    logs.configure(loaded)
    eventer.init(loaded)
    try:
        http.configure(loaded)
        [listener] = net.listen(loaded)
        assert (listener.fanout, listener.fanout_pool) == (True, "slow")
        assert log.stream_find("recent").type == "memory"
    finally:
        net.stop_accepting()
        http.configure(None)
        eventer.stop()


def test_every_link_of_the_reference_leads_somewhere():
    for page in PAGE.parent.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", page.read_text()):
            if target and "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
