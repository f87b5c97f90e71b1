import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import conf
from runtime.conf import ConfError

XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
        lambda char: char >= " " or char in "\t\n\r"
    )
)


@pytest.fixture
def tree():
    return conf.loads(b'<cli><a x="1"><b>1</b></a><a><b>2</b><b>3</b></a></cli>', "t.conf")


def xml(loaded):
    return loaded.tostring().decode().partition("?>\n")[2].rstrip("\n")


@given(XML_TEXT)
def test_text_that_xml_can_hold_reads_back_the_same(value):
    loaded = conf.loads(b"<cli><a/></cli>")
    for setter in (loaded.set_string, loaded.replace_string):
        for path in ("/cli/a/b", "/cli/a/@c", "/cli/d"):
            assert setter(path, value)
            if not value.startswith("ENV:"):
                assert loaded.get_string(path) == value
    again = conf.loads(loaded.tostring())
    assert again.get_string("/cli/a/b") == loaded.get_string("/cli/a/b")
    assert again.get_string("/cli/a/@c") == loaded.get_string("/cli/a/@c")


@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_typed_values_read_back_the_same(integer, number, boolean):
    loaded = conf.loads(b"<cli/>")
    assert loaded.set_integer("/cli/i", integer)
    assert loaded.set_float("/cli/f", number)
    assert loaded.set_boolean("/cli/@b", boolean)
    assert loaded.get_integer("/cli/i") == integer
    assert loaded.get_float("/cli/f") == number
    assert loaded.get_boolean("/cli/@b") is boolean


def test_what_is_missing_is_made_under_the_last_base(tree):
    assert tree.set_string("/cli/a/c", "new")
    assert tree.set_string("/cli/a/@y", "2")
    assert xml(tree) == '<cli><a x="1"><b>1</b></a><a y="2"><b>2</b><b>3</b><c>new</c></a></cli>'


def test_of_what_exists_the_last_is_overwritten(tree):
    assert tree.set_string("/cli/a/b", "new")
    assert tree.set_string("/cli/a/@x", "2")
    assert xml(tree) == '<cli><a x="2"><b>1</b></a><a><b>2</b><b>new</b></a></cli>'


def test_an_element_is_overwritten_with_all_that_is_in_it(tree):
    assert tree.set_string("/cli/a", "flat")
    assert xml(tree) == '<cli><a x="1"><b>1</b></a><a>flat</a></cli>'


def test_the_value_set_is_the_value_got_in_nested_bases():
    loaded = conf.loads(b"<cli><a><a><k>inner</k></a><k>outer</k></a></cli>")
    assert loaded.set_string("//a/k", "new")
    assert loaded.get_string("//a/k") == "new"
    assert loaded.set_string("/cli/a|/cli/a/a/m", "x")
    assert loaded.get_string("/cli/a/a/m") == "x"


def test_replacing_deletes_every_match_first(tree):
    assert tree.replace_string("/cli/a/b", "new")
    assert xml(tree) == '<cli><a x="1"/><a><b>new</b></a></cli>'
    assert tree.replace_string("/cli/a/@x", "2")
    assert xml(tree) == '<cli><a/><a x="2"><b>new</b></a></cli>'


def test_replacing_what_the_base_depends_on_keeps_the_base(tree):
    assert tree.replace_string("/cli/a[b='1']/b", "2")
    assert xml(tree) == '<cli><a x="1"><b>2</b></a><a><b>2</b><b>3</b></a></cli>'


def test_replacing_nested_matches_keeps_the_outermost_base():
    loaded = conf.loads(b"<cli><a><a><a/></a></a></cli>")
    assert loaded.replace_string("//a/a", "x")
    assert xml(loaded) == "<cli><a><a>x</a></a></cli>"


def test_a_slash_in_quotes_does_not_end_the_base():
    loaded = conf.loads(b'<cli><a n="x/y"/><a n="z"/></cli>')
    assert loaded.set_string("""/cli/a[@n='x/y']/b""", "1")
    assert loaded.get_string("/cli/a[1]/b") == "1"


@pytest.mark.parametrize("path", ["/cli/none/b", "/other/b", "//none/@b", "//x"])
def test_a_base_that_matches_nothing_changes_nothing(tree, path):
    before = tree.tostring()
    assert tree.set_string(path, "x") is False
    assert tree.replace_string(path, "x") is False
    assert tree.tostring() == before
    assert tree.generation == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", "x"),
        ("b", "x"),
        ("/cli", "x"),
        ("/cli/", "x"),
        ("/cli/a b", "x"),
        ("/cli/1b", "x"),
        ("/cli/٣", "x"),
        ("/cli/x:b", "x"),
        ("/cli/@", "x"),
        ("/cli/@@b", "x"),
        ("/cli/*", "x"),
        ("/cli/text()", "x"),
        ("/cli/b[1]", "x"),
        ("/cli/a[@n='x/y']", "x"),
        ("/cli/b\0", "x"),
        ("/cli/b\n", "x"),
        ("/cli/a[/b", "x"),
        ("/cli/a//b", "x"),
        ("//@x/b", "x"),
        ("/cli/b", "nul\0"),
        ("/cli/b", "\x1b"),
        ("/cli/b", "\ud800"),
        ("/cli/@b", "\uffff"),
    ],
)
def test_what_xml_cannot_hold_is_refused_and_nothing_changed(tree, path, value):
    before = tree.tostring()
    for setter in (tree.set_string, tree.replace_string):
        with pytest.raises(ConfError) as caught:
            setter(path, value)
        assert str(caught.value)
    assert tree.tostring() == before
    assert tree.generation == 0


@given(st.text(max_size=6))
def test_any_name_is_set_for_good_or_refused(name):
    loaded = conf.loads(b"<cli/>")
    try:
        done = loaded.set_string(f"/cli/{name}", "x")
    except ConfError:
        assert len(loaded.root) == 0
    else:
        assert not done or conf.loads(loaded.tostring()).get_string(f"/cli/{name}") == "x"


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_an_integer_beyond_64_bits_cannot_be_set(tree, value):
    with pytest.raises(ConfError, match="64 bits"):
        tree.set_integer("/cli/i", value)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_does_not_read_back_cannot_be_set(tree, value):
    with pytest.raises(ConfError, match="no number"):
        tree.set_float("/cli/f", value)


def test_a_section_is_removed_without_the_text_behind_it(tree):
    loaded = conf.loads(b"<cli><t>x<b>y</b>z</t></cli>")
    loaded.remove_section(loaded.get_section("//b"))
    assert loaded.get_string("/cli/t") == "xz"


def test_changes_keep_the_indentation():
    loaded = conf.loads(b"<cli>\n  <a/>\n  <b/>\n  <c/>\n</cli>")
    loaded.remove_section(loaded.get_section("//c"))
    assert xml(loaded) == "<cli>\n  <a/>\n  <b/>\n</cli>"
    loaded.remove_section(loaded.get_section("//a"))
    assert xml(loaded) == "<cli>\n  <b/>\n</cli>"
    loaded.set_string("/cli/d", "1")
    assert xml(loaded) == "<cli>\n  <b/>\n  <d>1</d>\n</cli>"


def test_the_root_and_strangers_cannot_be_removed(tree):
    with pytest.raises(ConfError, match="cannot remove the root element"):
        tree.remove_section(tree.root)
    section = tree.get_section("//b")
    with pytest.raises(ConfError, match=r"cannot remove <b>, which is not in <memory>"):
        conf.loads(b"<cli/>").remove_section(section)
    tree.remove_section(section)
    with pytest.raises(ConfError, match=r"<b>, which is not in t\.conf"):
        tree.remove_section(section)


def test_an_include_that_is_removed_is_forgotten(tmp_path):
    (tmp_path / "c.conf").write_text("<c><foo/></c>")
    loaded = conf.loads(b'<cli><x><include file="c.conf"/></x></cli>', directory=tmp_path)
    loaded.remove_section(loaded.get_section("/cli/x"))
    assert loaded.includes == []


def test_every_change_raises_the_generation(tree):
    seen = [tree.generation]
    for change in (
        lambda: tree.set_string("/cli/c", "1"),
        lambda: tree.replace_string("/cli/c", "1"),
        lambda: tree.set_boolean("/cli/@d", True),
        lambda: tree.remove_section(tree.get_section("/cli/c")),
        tree.mark_changed,
    ):
        change()
        seen.append(tree.generation)
    assert seen == sorted(set(seen))


def test_threads_may_read_and_change_together(tree):
    problems = []

    def work(worker):
        try:
            for number in range(200):
                path = f"/cli/w{worker}/@n"
                if not tree.set_integer(path, number):
                    tree.set_string(f"/cli/w{worker}", "")
                    tree.set_integer(path, number)
                tree.replace_string("/cli/a/b", str(number))
                if tree.get_integer(path) != number or tree.get_integer("/cli/a/b") is None:
                    problems.append((worker, number))
                tree.get_hash(tree.get_section("/cli/a"), "b")
        except Exception as failure:
            problems.append(failure)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert [tree.get_integer(f"/cli/w{worker}/@n") for worker in range(4)] == [199] * 4
    assert len(tree.get_sections("/cli/a/b")) == 1
