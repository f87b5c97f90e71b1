"""The module loader: from the configuration to a module that works."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from runtime import conf, modules
from runtime.conf import names
from runtime.modules import ModuleError

calls: list[tuple[str, object]] = []


class Recorder:
    """A module that notes what the loader does with it."""

    def configure(self, config: Mapping[str, str]) -> None:
        if config.get("refuse"):
            raise ValueError("refuse: not this")
        calls.append(("configure", dict(config)))

    def init(self) -> None:
        calls.append(("init", self))


class Failing(Recorder):
    """A module that fails to start."""

    def init(self) -> None:
        raise RuntimeError("no such device")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    calls.clear()
    monkeypatch.setattr(modules, "_registered", {})
    monkeypatch.setitem(sys.modules, "recorder_module", sys.modules[__name__])
    modules.register("test", "recorder", "recorder_module:Recorder")
    modules.register("test", "failing", "recorder_module:Failing")
    modules.register("test", "absent", "recorder_module:Absent")
    modules.register("test", "unimportable", "no_such_package:Thing")


def load(text: str) -> list[modules.Loaded]:
    return modules.load(conf.loads(f"<app>{text}</app>".encode()))


def test_a_registered_module_gets_its_merged_configuration_then_starts() -> None:
    loaded = load(
        "<modules><config><shared>yes</shared><own>above</own></config>"
        '<generic image="test" name="recorder"><config><own>below</own></config></generic></modules>'
    )
    assert calls == [("configure", {"shared": "yes", "own": "below"})]
    modules.start(loaded)
    assert calls[1] == ("init", loaded[0].module)
    assert (loaded[0].image, loaded[0].name) == ("test", "recorder")


def test_modules_of_includes_and_groups_are_found_in_order() -> None:
    generic = '<generic image="test" name="recorder"><config><n>%d</n></config></generic>'
    included = f"<include><modules>{generic % 3}</modules></include>"
    load(f"<modules>{generic % 1}<group>{generic % 2}</group></modules>{included}")
    assert [config for _, config in calls] == [{"n": "1"}, {"n": "2"}, {"n": "3"}]


def test_the_environment_turns_a_module_off(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '<modules><generic image="test" name="recorder" require_env="WANT_RECORDER"/></modules>'
    monkeypatch.delenv("WANT_RECORDER", raising=False)
    assert load(text) == []
    monkeypatch.setenv("WANT_RECORDER", "1")
    assert len(load(text)) == 1


@pytest.mark.parametrize("separator", [":", ";"])
def test_an_image_is_looked_for_in_the_directories_given(tmp_path: Path, separator: str) -> None:
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "image.py").write_text(
        "class thing:\n"
        "    def configure(self, config): self.config = dict(config)\n"
        "    def init(self): self.started = True\n"
    )
    directories = f"{tmp_path}/first{separator}{tmp_path}/second"
    generic = '<generic image="image" name="thing"><config><k>v</k></config></generic>'
    loaded = load(f'<modules directory="{directories}">{generic}</modules>')
    modules.start(loaded)
    assert vars(loaded[0].module) == {"config": {"k": "v"}, "started": True}


@pytest.mark.parametrize(
    ("generic", "named"),
    [
        ('image="test"', "needs an image and a name"),
        ('name="recorder"', "needs an image and a name"),
        ('image="nothing" name="none"', r"no module none in image nothing \(not built in; looked in no directories\)"),
        ('image="test" name="absent"', "image test has no module absent"),
        ('image="test" name="unimportable"', r"module unimportable \(image test\) failed to load: .*no_such_package"),
    ],
)
def test_a_module_that_cannot_be_found_is_named(generic: str, named: str) -> None:
    with pytest.raises(conf.ConfError, match=named):
        load(f"<modules><generic {generic}/></modules>")


def test_a_file_that_does_not_load_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def oops(:\n")
    with pytest.raises(conf.ConfError, match=r"module x \(image broken\) failed to load: .*broken.py"):
        load(f'<modules directory="{tmp_path}"><generic image="broken" name="x"/></modules>')
    with pytest.raises(conf.ConfError, match=f"looked in {tmp_path}"):
        load(f'<modules directory="{tmp_path}"><generic image="absent" name="x"/></modules>')


def test_a_refused_configuration_is_named() -> None:
    named = r":{}: module recorder \(image test\): refuse: not this"
    with pytest.raises(conf.ConfError, match=named.format(2)):
        load('<modules><generic image="test" name="recorder"><config>\n<refuse>1</refuse></config></generic></modules>')
    with pytest.raises(conf.ConfError, match=named.format(3)):
        load(
            '<modules><config id="shared">\n\n<refuse>1</refuse></config>\n'
            '<generic image="test" name="recorder"><config inherit="shared"/></generic></modules>'
        )


def test_a_module_that_does_not_start_is_named() -> None:
    loaded = load('<modules><generic image="test" name="failing"/></modules>')
    with pytest.raises(ModuleError, match=r"module failing \(image test\) failed to start: no such device"):
        modules.start(loaded)


class Shouting:
    """A loader whose modules are texts."""

    def configure(self, config: Mapping[str, str]) -> None:
        calls.append(("loader", dict(config)))

    def load(self, image: str, name: str, directories: list[Path]) -> Recorder:
        if image == "nothing":
            raise ValueError("there is nothing in it")
        calls.append(("load", (image, name, directories)))
        return Recorder()


def test_an_application_teaches_the_stack_to_load_modules_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "_loaders", {})
    modules.register_loader("shouting", "recorder_module:Shouting")
    loaded = load(
        '<modules directory="a:b">'
        '<generic loader="shouting" image="text" name="one"><config><k>v</k></config></generic>'
        '<generic loader="C" image="test" name="recorder"/></modules>'
    )
    assert calls == [
        ("load", ("text", "one", [Path("a"), Path("b")])),
        ("configure", {"k": "v"}),
        ("configure", {}),
    ]
    assert [(each.image, each.name) for each in loaded] == [("text", "one"), ("test", "recorder")]


def test_a_loader_is_a_module_too_and_is_there_before_all_others() -> None:
    modules.register("test", "shouting", "recorder_module:Shouting")
    loaded = load(
        '<modules><generic loader="shouting" image="text" name="one"/>'
        '<loader image="test" name="shouting"><config><loud>yes</loud></config></loader></modules>'
    )
    assert calls == [("loader", {"loud": "yes"}), ("load", ("text", "one", [])), ("configure", {})]
    assert [each.name for each in loaded] == ["one"]
    assert {each.name: each.type for each in modules.loaded()} == {"shouting": "loader", "one": "generic"}


def test_what_a_loader_cannot_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "_loaders", {"shouting": "recorder_module:Shouting"})
    with pytest.raises(conf.ConfError, match=r"module x \(image nothing\) failed to load: there is nothing in it"):
        load('<modules><generic loader="shouting" image="nothing" name="x"/></modules>')
    with pytest.raises(conf.ConfError, match=r"module x \(image y\): there is no loader 'perl' \(known: C, shouting\)"):
        load('<modules><generic loader="perl" image="y" name="x"/></modules>')
    with pytest.raises(conf.ConfError, match=r"loader recorder \(image test\) is no loader: it has no load"):
        load('<modules><loader image="test" name="recorder"/></modules>')
    modules.register("test", "shouting", "recorder_module:Shouting")
    with pytest.raises(conf.ConfError, match=r"module shouting \(image test\) is no module: it has no init"):
        load('<modules><generic image="test" name="shouting"/></modules>')


def test_module_is_another_word_for_generic() -> None:
    load('<modules><module image="test" name="recorder"/></modules>')
    assert calls == [("configure", {})]


@pytest.mark.parametrize("misspelt", ["generc", "Generic", "modul", "loaders"])
def test_an_element_that_would_be_overlooked_is_an_error_with_the_right_name(misspelt: str) -> None:
    text = f'<modules><group><{misspelt} image="test" name="recorder"/></group></modules>'
    with pytest.raises(
        conf.ConfError, match=rf"<modules>: there is no <{misspelt}>, expected <(generic|module|loader)>"
    ):
        names.check(conf.loads(f"<app>{text}</app>".encode()))


def test_groups_may_have_any_name_and_attributes_and_a_config_any_keys() -> None:
    load(
        '<modules><group name="recorder" image="test"><generic/></group>'
        '<config><thing name="x"/></config><empty/></modules>'
    )
    assert len(calls) == 1


class Closed(Recorder):
    """A module whose keys are closed."""

    KEYS = names.names("colour", unused={"weight": "nothing is weighed here"}, prefixes=["slot_"])


def test_a_key_that_a_module_does_not_know_is_an_error_with_its_line(tmp_path: Path) -> None:
    modules.register("test", "closed", "recorder_module:Closed")
    file = tmp_path / "app.conf"
    text = (
        "<app><modules><config><of_others/></config>\n"
        '<generic image="test" name="closed"><config>\n<slot_1>x</slot_1><weight/><{0}>red</{0}></config></generic>'
        "</modules></app>"
    )
    file.write_text(text.format("color"))
    with pytest.raises(conf.ConfError, match=r"app\.conf:3: .* there is no key color, expected colour"):
        modules.load(conf.load(file))
    file.write_text(text.format("colour"))
    configuration = conf.load(file)
    modules.load(configuration)
    assert calls == [("configure", {"of_others": "", "slot_1": "x", "weight": "", "colour": "red"})]
    file.write_text(text.format("color"))
    with pytest.raises(conf.ConfError, match="there is no key color, expected colour"):
        configuration.reload()
    assert configuration.get_string("//colour") == "red"
