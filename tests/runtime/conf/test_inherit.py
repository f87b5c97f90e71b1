import pytest

from runtime import conf
from runtime.conf import ConfError


def of(xml, path="//z", name="config"):
    loaded = conf.loads(f"<cli>{xml}</cli>".encode(), "x.conf")
    return loaded.get_hash(loaded.get_section(path), name)


def test_a_section_without_keys_has_none():
    assert of("<z/>") == {}
    assert of("<z><config/></z>") == {}


def test_keys_are_the_elements_of_the_set_with_their_text():
    assert of("<config><a> 1 </a><b>x<c>y</c>z</b><!-- no --><d/></config><z/>") == {"a": " 1 ", "b": "xyz", "d": ""}


def test_later_sets_of_one_element_replace_earlier_ones():
    assert of("<z><config><a>1</a><b>1</b></config><config><a>2</a></config></z>") == {"a": "2", "b": "1"}


def test_sets_of_siblings_are_not_inherited():
    assert of("<y><config><a>1</a></config></y><z/>") == {}


def test_a_set_may_have_any_name():
    assert of("<sslconfig><a>1</a></sslconfig><z><config><b>2</b></config></z>", name="sslconfig") == {"a": "1"}


def test_a_set_inside_a_set_is_no_key_of_it():
    assert of("<config><a>1</a><config><b>2</b></config></config><z/>") == {"a": "1"}


def test_an_inherited_set_comes_after_the_ancestors_and_before_the_own_keys():
    xml = """<config><a>top</a><b>top</b><c>top</c></config>
             <config id="other"><b>other</b><c>other</c></config>
             <x><config><a>mid</a><b>mid</b></config>
             <z><config inherit="elsewhere"><c>own</c></config></z></x>
             <w><config><a>not this</a></config><config id="elsewhere"><b>other</b><c>other</c></config></w>"""
    assert of(xml) == {"a": "mid", "b": "other", "c": "own"}


def test_an_inherited_set_may_inherit():
    xml = """<z><config inherit="one"><a>0</a></config></z>
             <x><config id="one" inherit="two"><a>1</a><b>1</b></config></x>
             <x><config id="two"><a>2</a><b>2</b><c>2</c></config></x>"""
    assert of(xml) == {"a": "0", "b": "1", "c": "2"}


def test_ancestors_may_inherit():
    assert of('<x><config inherit="i"/><z/></x><y><config id="i"><a>1</a></config></y>') == {"a": "1"}


def test_only_sets_of_the_same_name_are_inherited():
    with pytest.raises(ConfError, match='there is no <config id="i">'):
        of('<z><config inherit="i"/></z><y><other id="i"/></y>')


def test_of_two_sets_with_one_id_the_later_counts():
    xml = '<x><config id="i"><a>1</a></config></x><x><config id="i"><a>2</a></config></x>'
    assert of(f'{xml}<z><config inherit="i"/></z>') == {"a": "2"}


def test_an_id_may_hold_any_text():
    ident = "it's &quot;quoted&quot;"
    assert of(f'<x><config id="{ident}"><a>1</a></config></x><z><config inherit="{ident}"/></z>') == {"a": "1"}


def test_the_set_to_inherit_may_come_from_the_environment(monkeypatch):
    xml = '<x><config id="dev"><a>1</a></config></x><z><config inherit="ENV:dev:{STAGE}"/></z>'
    monkeypatch.delenv("STAGE", raising=False)
    assert of(xml) == {"a": "1"}
    monkeypatch.setenv("STAGE", "live")
    with pytest.raises(ConfError, match='there is no <config id="live">'):
        of(xml)


@pytest.mark.parametrize(
    ("xml", "chain"),
    [
        ('<z><config id="a" inherit="a"/></z>', '<config id="a"> -> <config id="a">'),
        (
            '<x><config id="a" inherit="b"/></x><x><config id="b" inherit="a"/></x><z><config inherit="a"/></z>',
            '<config> -> <config id="a"> -> <config id="b"> -> <config id="a">',
        ),
    ],
)
def test_a_cycle_of_inheritance_is_refused_with_its_chain(xml, chain):
    with pytest.raises(ConfError) as caught:
        of(f"\n{xml}")
    assert str(caught.value) == f"x.conf:2: inheritance cycle: {chain}"


def test_a_missing_set_is_refused_in_the_file_that_asks_for_it(tmp_path):
    (tmp_path / "c.conf").write_text('<c>\n\n<z><config inherit="i"/></z></c>')
    loaded = conf.loads(b'<cli><include file="c.conf"/></cli>', directory=tmp_path)
    with pytest.raises(ConfError) as caught:
        loaded.get_hash(loaded.get_section("//z"))
    assert str(caught.value).startswith(f'{tmp_path}/c.conf:3: <config inherit="i">')


def test_keys_may_be_included(tmp_path):
    (tmp_path / "keys.conf").write_text("<a>1</a><b>2</b>")
    data = b'<cli><z><config><a>0</a><include file="keys.conf" snippet="true"/><b>3</b></config></z></cli>'
    loaded = conf.loads(data, directory=tmp_path)
    assert loaded.get_hash(loaded.get_section("//z")) == {"a": "1", "b": "3"}


def test_namespaces_keep_keys_apart():
    data = b"""<cli xmlns:m="urn:m"><config><m:a>1</m:a><a>2</a></config>
               <z xmlns:other="urn:m"><config><other:b>3</other:b><n:c xmlns:n="urn:n">4</n:c></config></z></cli>"""
    loaded = conf.loads(data)
    section = loaded.get_section("//z")
    assert loaded.get_hash(section) == {"a": "2"}
    assert loaded.get_namespaced_hash(section, "config", "urn:m") == {"a": "1", "b": "3"}
    assert loaded.get_namespaced_hash(section, "config", "m") == {"a": "1"}
    assert loaded.get_namespaced_hash(section, "config", "n") == {"c": "4"}
    assert loaded.get_namespaced_hash(section, "config", "x") == {}
