import pytest

from runtime import conf, hooks
from runtime.conf import ConfError

TREE = b"""<?xml version="1.0"?>
<cli name="top" level="1">
  <a name="mid">
    <b size="0x10">one<!-- not this -->two</b>
    <b size="20">three<c>four</c></b>
  </a>
  <text>x<i>y</i>z</text>
  <empty/>
  <flag> On </flag>
  <wait>1min5ms</wait>
  <ratio>0.25</ratio>
  <rubbish>12 apples
</rubbish>
</cli>
"""


@pytest.fixture
def tree():
    return conf.loads(TREE, "tree.conf")


@pytest.fixture
def fixup():
    """Registers fix-up callbacks, and takes them out again."""
    names = []

    def register(fn):
        names.append(f"test-{len(names)}")
        conf.VALUE_FIXUP.register(names[-1], fn)

    yield register
    for name in names:
        conf.VALUE_FIXUP.unregister(name)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/cli/@name", "top"),
        ("/cli/a/b[1]", "onetwo"),
        ("/cli/text", "xyz"),
        ("/cli/text/text()", "z"),
        ("/cli/empty", ""),
        ("/cli/nothing", None),
        ("/cli/a/b", "threefour"),
        ("a/@name", "mid"),
        ("concat(/cli/@name, '-', /cli/a/@name)", "top-mid"),
        ("count(//b)", "2"),
        ("1 div 4", "0.25"),
        ("count(//b) = 2", "true"),
        ("string(/cli/nothing)", ""),
        ("local-name(/*)", "cli"),
        ("//comment()", " not this "),
        ("/cli/namespace::*", "http://www.w3.org/XML/1998/namespace"),
    ],
)
def test_any_xpath_gives_text(tree, path, text):
    assert tree.get_string(path) == text


def test_the_nearest_ancestor_wins_where_the_path_asks(tree):
    section = tree.get_section("//b")
    assert tree.get_string("ancestor-or-self::node()/@name", section) == "mid"
    assert tree.get_string("ancestor-or-self::node()/@level", section) == "1"
    assert tree.get_string("@name", section) is None


def test_an_attribute_is_inherited_from_the_nearest_ancestor(tree):
    section = tree.get_section("//b")
    assert tree.inherited(section, "size") == "0x10"
    assert tree.inherited(section, "name") == "mid"
    assert tree.inherited(section, "level") == "1"
    assert tree.inherited(section, "nothing") is None


def test_what_an_include_says_of_its_file_is_not_inherited(tmp_path):
    (tmp_path / "c.conf").write_text("<c><log/></c>")
    loaded = conf.loads(b'<cli ro="top"><include file="c.conf" ro="on" x="1"/></cli>', directory=tmp_path)
    section = loaded.get_section("//log")
    assert [loaded.inherited(section, name) for name in ("file", "ro", "x")] == [None, "top", "1"]


def test_sections_are_elements_in_document_order(tree):
    assert [section.get("size") for section in tree.get_sections("/cli/a/b")] == ["0x10", "20"]
    assert tree.get_section("/cli/a/b").get("size") == "0x10"
    assert tree.get_section("/cli/x") is None
    assert tree.get_sections("b", tree.get_section("/cli/a")) == tree.get_sections("//b")
    assert [section.tag for section in tree.get_sections("//b/node()[not(self::text())]")] == ["c"]


@pytest.mark.parametrize("path", ["//@name", "count(//b)", "'x'", "true()", "//text()"])
def test_a_path_that_selects_no_elements_is_refused(tree, path):
    with pytest.raises(ConfError, match="does not select elements"):
        tree.get_sections(path)


@pytest.mark.parametrize("path", ["", "a[", "/cli/", "foo()", "x:y", "$v", "a\0b", "\ud800", "!"])
def test_a_bad_xpath_is_named(tree, path):
    for getter in (tree.get_string, tree.get_section, tree.get_integer):
        with pytest.raises(ConfError) as caught:
            getter(path)
        assert f"bad XPath {path!r}" in str(caught.value)


def test_prefixes_in_scope_may_be_used_in_paths():
    loaded = conf.loads(b'<cli xmlns:g="urn:g"><g:a>1</g:a><b xmlns:h="urn:h"><h:c>2</h:c></b></cli>')
    assert loaded.get_string("/cli/g:a") == "1"
    assert loaded.get_string("h:c", loaded.get_section("/cli/b")) == "2"


def test_typed_values_are_read(tree):
    assert tree.get_integer("/cli/a/b[1]/@size") == 16
    assert tree.get_integer("count(//b)") == 2
    assert tree.get_float("/cli/ratio") == 0.25
    assert tree.get_float("1 div 3") == 1 / 3
    assert tree.get_boolean("/cli/flag") is True
    assert tree.get_boolean("count(//b) = 3") is False
    assert tree.get_duration("/cli/wait") == 60.005


@pytest.mark.parametrize("kind", ["integer", "float", "boolean", "duration"])
def test_a_path_that_matches_nothing_has_no_value_of_any_type(tree, kind):
    assert getattr(tree, f"get_{kind}")("/cli/nothing/@at-all") is None


@pytest.mark.parametrize("kind", ["integer", "float", "boolean", "duration"])
def test_text_of_another_type_is_refused_with_its_place(tree, kind):
    getter = getattr(tree, f"get_{kind}")
    for path, where, value in [
        ("/cli/rubbish", "tree.conf:12: ", r"'12 apples\n'"),
        ("/cli/@name", "tree.conf:2: ", "'top'"),
        ("/cli/text/text()", "tree.conf:7: ", "'z'"),
        ("/cli/empty", "tree.conf:8: ", "''"),
        ("concat('a', 'b')", "tree.conf: ", "'ab'"),
    ]:
        with pytest.raises(ConfError) as caught:
            getter(path)
        assert str(caught.value).startswith(f"{where}{path}: {value}: expected ")


def test_a_long_value_is_shortened_in_errors():
    with pytest.raises(ConfError) as caught:
        conf.loads(b"<a>" + b"x" * 10_000 + b"</a>").get_integer("/a")
    assert len(str(caught.value)) < 200


def test_a_list_is_the_child_of_each_match():
    loaded = conf.loads(b"<cli><p><n>1</n></p><p><n>2</n></p>\n<q><n>3</n></q><q/></cli>", "l.conf")
    assert loaded.get_string_list("/cli/p", "n") == ["1", "2"]
    assert loaded.get_string_list("/cli/p", "n/text()") == ["1", "2"]
    assert loaded.get_string_list("/cli/nothing", "n") == []
    with pytest.raises(ConfError) as caught:
        loaded.get_string_list("/cli/q", "n")
    assert str(caught.value) == "l.conf:2: <q> at '/cli/q' has no 'n'"


@pytest.mark.parametrize(
    ("text", "plain", "with_variable"),
    [
        ("ENV:2222:{LUAMTEV_TEST}", "2222", "80"),
        ("ENV::{LUAMTEV_TEST}", "", "80"),
        ("ENV:http://localhost:8080/:{LUAMTEV_TEST}", "http://localhost:8080/", "80"),
        ("ENV:{x}:{LUAMTEV_TEST}", "{x}", "80"),
        ("ENV:two\nlines:{LUAMTEV_TEST}", "two\nlines", "80"),
        (" ENV:2222:{LUAMTEV_TEST}", None, None),
        ("ENV:2222:{LUAMTEV_TEST} ", None, None),
        ("ENV:2222:{LUAMTEV_TEST}/", None, None),
        ("ENV:2222:{}", None, None),
        ("ENV:2222{LUAMTEV_TEST}", None, None),
        ("env:2222:{LUAMTEV_TEST}", None, None),
    ],
)
def test_a_whole_value_comes_from_the_environment(monkeypatch, text, plain, with_variable):
    loaded = conf.loads(f"<cli><v>{text}</v></cli>".encode())
    monkeypatch.delenv("LUAMTEV_TEST", raising=False)
    assert loaded.get_string("/cli/v") == (text if plain is None else plain)
    monkeypatch.setenv("LUAMTEV_TEST", "80")
    assert loaded.get_string("/cli/v") == (text if with_variable is None else with_variable)


def test_every_getter_fixes_values_up(monkeypatch):
    loaded = conf.loads(
        b"""<cli level="ENV:top:{N}"><v>ENV:no:{N}</v><w at="ENV:x:{N}"><config><k>ENV:y:{N}</k></config></w></cli>"""
    )
    monkeypatch.setenv("N", "7")
    section = loaded.get_section("/cli/w")
    assert loaded.get_integer("/cli/v") == 7
    assert loaded.get_float("/cli/v") == 7.0
    assert loaded.inherited(section, "level") == "7"
    assert loaded.get_string_list("/cli/w", "@at") == ["7"]
    assert loaded.get_hash(section) == {"k": "7"}
    monkeypatch.setenv("N", "7s")
    assert loaded.get_duration("/cli/v") == 7.0
    monkeypatch.setenv("N", "off")
    assert loaded.get_boolean("/cli/v") is False


def test_fix_up_is_a_hook_of_its_own_name(tree, fixup):
    calls = []

    def shout(section, path, value):
        calls.append((section, path))
        value.text = value.text.upper()
        return hooks.DONE

    fixup(shout)
    fixup(lambda *_: pytest.fail("the chain has ended"))
    section = tree.get_section("/cli/a")
    assert hooks.find("mtev_conf_value_fixup") is conf.VALUE_FIXUP
    assert tree.get_string("@name", section) == "MID"
    assert calls == [(section, "@name")]
    assert tree.get_string("/cli/nothing") is None


@pytest.mark.parametrize(
    ("expression", "environment", "off"),
    [
        ("FOO", {}, True),
        ("FOO", {"FOO": ""}, False),
        ("!FOO", {}, False),
        ("!FOO", {"FOO": "1"}, True),
        ("FOO=42", {"FOO": "42"}, False),
        ("FOO=42", {"FOO": "421"}, True),
        ("FOO=42", {}, True),
        ("!FOO=42", {"FOO": "42"}, True),
        ("!FOO=42", {}, False),
        ("FOO=", {"FOO": ""}, False),
        ("FOO=a=b~c", {"FOO": "a=b~c"}, False),
        ("FOO~^(?i)disabled_", {"FOO": "DISABLED_x"}, False),
        ("FOO~^(?i)disabled_", {"FOO": "not disabled_x"}, True),
        ("FOO~.", {}, True),
        ("!FOO~.", {}, False),
        ("FOO~a=b", {"FOO": "xa=bx"}, False),
        ("FOO~ü+$", {"FOO": "xüü"}, False),
    ],
)
def test_an_expression_turns_a_section_off(monkeypatch, expression, environment, off):
    monkeypatch.delenv("FOO", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    loaded = conf.loads(f'<cli><a require_env="{expression}"/></cli>'.encode())
    assert loaded.env_off(loaded.get_section("/cli/a")) is off


def test_every_ancestor_must_hold(monkeypatch):
    loaded = conf.loads(b'<cli require_env="ONE"><a><b require_env="TWO"/></a></cli>')
    monkeypatch.delenv("ONE", raising=False)
    monkeypatch.setenv("TWO", "")
    inner, outer = loaded.get_section("//b"), loaded.get_section("//a")
    assert loaded.env_off(inner)
    monkeypatch.setenv("ONE", "")
    assert not loaded.env_off(inner)
    monkeypatch.delenv("TWO")
    assert loaded.env_off(inner)
    assert not loaded.env_off(outer)


def test_another_attribute_may_hold_the_expression(monkeypatch):
    monkeypatch.delenv("FOO", raising=False)
    loaded = conf.loads(b'<cli><a only_if="FOO"/></cli>')
    assert loaded.env_off(loaded.get_section("//a"), "only_if")
    assert not loaded.env_off(loaded.get_section("//a"))


@pytest.mark.parametrize("expression", ["", "!", "=1", "~x", "!!FOO", " FOO", "FOO~(", "FOO~*"])
def test_a_bad_expression_is_refused_with_its_place(monkeypatch, expression):
    monkeypatch.delenv("FOO", raising=False)
    loaded = conf.loads(f'<cli>\n<a require_env="{expression}"/></cli>'.encode(), "e.conf")
    with pytest.raises(ConfError) as caught:
        loaded.env_off(loaded.get_section("//a"))
    assert str(caught.value).startswith(f"e.conf:2: <a> require_env={expression!r}: ")
