import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import conf
from runtime.conf import ConfError


@pytest.fixture
def files(tmp_path):
    """Writes files; returns the path of the first."""

    def write(**contents):
        paths = []
        for name, content in contents.items():
            path = tmp_path / f"{name}.conf"
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            paths.append(path)
        return paths[0]

    return write


def refusal(function, *args, **kwargs):
    with pytest.raises(ConfError) as caught:
        function(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfError("oh"), "oh"),
        (ConfError("oh", "a.conf"), "a.conf: oh"),
        (ConfError("oh", "a.conf", 7), "a.conf:7: oh"),
        (ConfError("oh", None, 7), "oh"),
        (ConfError("oh\nno", "a\nb"), "a b: oh no"),
    ],
)
def test_an_error_is_one_line(error, text):
    assert str(error) == text


def test_a_file_is_loaded_by_its_name(files):
    loaded = conf.load(files(main='<?xml version="1.0" encoding="utf8" standalone="yes"?>\n<cli><a>ü</a></cli>'))
    assert loaded.root_name == "cli"
    assert loaded.tree.getroot() is loaded.root
    assert loaded.get_string("/cli/a") == "ü"


def test_the_root_element_must_be_the_application(files):
    path = files(main="<!-- x -->\n<other/>")
    assert conf.load(path, app="other").root_name == "other"
    error = refusal(conf.load, path, app="cli")
    assert str(error) == f"{path}:2: the root element is <other>, expected <cli>"


def test_a_missing_file_is_named(tmp_path):
    error = refusal(conf.load, tmp_path / "none.conf")
    assert str(error) == f"{tmp_path}/none.conf: cannot read the configuration: No such file or directory"


def test_a_directory_is_no_configuration(tmp_path):
    assert "Is a directory" in str(refusal(conf.load, tmp_path))


def test_a_file_name_that_cannot_exist_is_refused():
    assert "cannot read" in str(refusal(conf.load, "a\0b"))


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"", 1, "Document is empty"),
        (b"<a>\n<b></a>", 2, "tag mismatch"),
        (b"<a>\n\n\xff</a>", 3, "nvalid"),
        (b"<a/>\n<b/>", 2, "Extra content"),
        (b"<a>\n&x;</a>", 2, "Entity 'x' not defined"),
        (b'<?xml version="1.0" encoding="nope"?><a/>', 1, "encoding"),
        (b"<a>" * 300 + b"</a>" * 300, 1, "depth"),
    ],
)
def test_broken_xml_is_refused_with_its_line(data, line, reason):
    error = refusal(conf.loads, data, "x.conf")
    assert (error.file, error.line) == ("x.conf", line)
    assert reason in error.message
    assert "column" not in error.message


@given(st.binary(max_size=60) | st.text("<a>/ &;!?\"'=\n", max_size=40).map(str.encode))
def test_any_bytes_are_loaded_or_refused(data):
    try:
        conf.loads(data)
    except ConfError as refused:
        assert str(refused).startswith("<memory>:")


def bomb(usage):
    levels = [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">\n' for n in range(1, 12)]
    return f'<!-- x -->\n<!DOCTYPE a [<!ENTITY a0 "lol">{"".join(levels)}]>\n{usage}'.encode()


ENDLESS = "its entities (<!ENTITY …>) stand for more text than a configuration may have"


@pytest.mark.parametrize("usage", ["<a>&a11;</a>", '<a b="&a11;"/>', "<a>" + "&a4;" * 20_000 + "</a>"])
def test_entity_bombs_are_refused(usage):
    error = refusal(conf.loads, bomb(usage))
    assert (error.line, error.message) == (2, ENDLESS)


@pytest.mark.parametrize("usage", ["<a>&one;</a>", '<a b="&one;"/>'])
def test_an_entity_that_contains_itself_is_refused(usage):
    error = refusal(conf.loads, f'<!DOCTYPE a [<!ENTITY one "&two;"><!ENTITY two "&one;">]>{usage}'.encode())
    assert (error.line, error.message) == (1, "an entity (<!ENTITY …>) contains itself")


ENTITIES = """<!DOCTYPE app [
  <!ENTITY host "10.0.0.1">
  <!ENTITY where "&host;:8080">
  <!ENTITY % more "<!ENTITY who 'an app'>">
  %more;
  <!ENTITY keys "
    <key>1</key>
    <other at='&host;'/>
  ">
]>
"""


def test_entities_of_the_file_stand_for_their_text(files):
    path = files(main=f"{ENTITIES}<app at='&where;'>\n<who>&who;</who>\n<config>&keys;</config>\n<last>x</last></app>")
    loaded = conf.load(path)
    assert loaded.get_string("/app/@at") == "10.0.0.1:8080"
    assert loaded.get_string("//who") == "an app"
    assert loaded.get_hash(loaded.root) == {"key": "1", "other": ""}
    assert loaded.get_string("//other/@at") == "10.0.0.1"
    assert refusal(loaded.get_integer, "//last").line == 14
    assert refusal(loaded.get_boolean, "//key").line == 13, "where the reference stands"


def test_entities_are_of_their_own_file(files):
    child = '<!DOCTYPE child [<!ENTITY e "inner">]><child><v>&e;</v></child>'
    main = '<!DOCTYPE app [<!ENTITY e "outer">]><app><include file="child.conf"/><w>&e;</w></app>'
    path = files(main=main, child=child)
    loaded = conf.load(path)
    assert loaded.get_string("//v") == "inner"
    assert loaded.get_string("//w") == "outer"
    error = refusal(conf.load, files(main=main, child="<child><v>&e;</v></child>"))
    assert (error.file, error.message) == (str(path.with_name("child.conf")), "Entity 'e' not defined")


def test_what_was_saved_has_the_text_of_the_entities_and_is_loaded_again(files):
    path = files(main='<!DOCTYPE app [<!ENTITY e "a &#38;#60; b">]><app><v>&e;</v><w/></app>')
    loaded = conf.load(path)
    loaded.set_string("/app/w", "new")
    loaded.save()
    assert path.read_text().count("&e;") == 0
    again = conf.load(path)
    assert (again.get_string("//v"), again.get_string("//w")) == ("a < b", "new")


@pytest.mark.parametrize(
    "declaration",
    ["a", 'SYSTEM "{}"', 'PUBLIC "-//x" "{}"', 'SYSTEM "http://127.0.0.1:9/x.dtd"', '[<!ENTITY e SYSTEM "{}">]'],
)
def test_what_a_document_type_names_is_not_read(tmp_path, declaration):
    (tmp_path / "outside.dtd").write_text("<!ENTITY e 'x'> no DTD: who reads it complains of its content")
    text = declaration.replace("{}", f"file://{tmp_path}/outside.dtd")
    doctype = f"<!DOCTYPE {'' if text == 'a' else 'a '}{text}>"
    assert conf.loads(f"{doctype}<a>1</a>".encode()).get_string("/a") == "1"
    error = refusal(conf.loads, f"{doctype}\n<a>\n&e;</a>".encode())
    if "ENTITY" in text:
        assert (error.line, error.message) == (1, outside(f"file://{tmp_path}/outside.dtd"))
    else:
        assert (error.line, error.message) == (3, "Entity 'e' not defined")


def outside(name):
    return f"an entity is '{name}', which is not read; <include file=…/> reads a file"


@pytest.mark.parametrize(
    ("declaration", "body", "line"),
    [
        ('<!ENTITY e SYSTEM "{}">', "<a>\n&e;</a>", 1),
        ('\n<!ENTITY e PUBLIC "-//x" "{}">', "<a>\n\n&e;</a>", 2),
        ('\n<!ENTITY % p SYSTEM "{}"> %p;', "<a/>", 2),
        ('<!ENTITY e SYSTEM "{}"><!ENTITY f "&e;">', "<a>&f;</a>", 1),
    ],
)
@pytest.mark.parametrize("name", ["outside.txt", "file:///etc/hostname", "http://127.0.0.1:9/x"])
def test_an_entity_outside_of_the_file_is_refused_by_name(tmp_path, monkeypatch, declaration, body, line, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outside.txt").write_text("outside")
    error = refusal(conf.loads, f"<!DOCTYPE a [{declaration.replace('{}', name)}]>\n{body}".encode())
    assert (error.message, error.line) == (outside(name), line)


def test_an_attribute_cannot_hold_an_entity_outside_of_the_file():
    error = refusal(conf.loads, b'<!DOCTYPE a [<!ENTITY e SYSTEM "outside.txt">]>\n<a b="&e;"/>')
    assert (error.message, error.line) == ("Attribute references external entity 'e'", 2)


def test_an_include_has_the_children_of_the_root_of_its_file(files):
    loaded = conf.load(
        files(main='<root>\n<include file="child.conf"/></root>', child='<child x="1">\n<foo>1</foo><bar/></child>')
    )
    assert [element.tag for element in loaded.get_sections("/root/include/*")] == ["foo", "bar"]
    assert loaded.get_sections("//child") == []
    assert loaded.get_string("/root/include/@x") is None
    (include,) = loaded.includes
    assert (include.path.name, include.snippet, include.read_only) == ("child.conf", False, False)
    assert include.element is loaded.get_section("/root/include")


@pytest.mark.parametrize("head", ["", "\ufeff", '<?xml version="1.0" encoding="utf-8"?>\n', "\n<!-- x -->"])
def test_a_snippet_needs_no_root(files, head):
    loaded = conf.load(
        files(main='<root><include file="s.conf" snippet="true" ro="yes"/></root>', s=head + "<foo>ü</foo><bar/>text")
    )
    assert [element.tag for element in loaded.get_sections("/root/include/*")] == ["foo", "bar"]
    assert loaded.get_string("//foo") == "ü"
    assert loaded.includes[0].read_only


def test_an_empty_snippet_is_nothing(files):
    loaded = conf.load(files(main='<root><include file="s.conf" snippet="true"/></root>', s=""))
    assert loaded.get_string("/root/include") == ""


def test_the_own_content_of_an_include_is_replaced(files):
    main = '<root><include file="child.conf">old<foo/><include file="never.conf"/></include></root>'
    loaded = conf.load(files(main=main, child="<child><bar/></child>"))
    assert [element.tag for element in loaded.get_sections("/root/include/node()")] == ["bar"]
    again = conf.loads(loaded.tostring(), directory=loaded.includes[0].path.parent)
    assert again.tostring() == loaded.tostring()


def test_includes_are_relative_to_the_including_file(tmp_path):
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "main.conf").write_text('<root><x><include file="sub/one.conf"/></x></root>')
    (tmp_path / "sub" / "one.conf").write_text('<one><include file="deep/two.conf"/></one>')
    (tmp_path / "sub" / "deep" / "two.conf").write_text(f'<two><include file="{tmp_path}/three.conf"/></two>')
    (tmp_path / "three.conf").write_text("<three>\n<value>3x</value></three>")
    loaded = conf.load(tmp_path / "main.conf")
    assert loaded.get_string("/root/x/include/include/include/value") == "3x"
    assert [include.path.name for include in loaded.includes] == ["one.conf", "two.conf", "three.conf"]
    error = refusal(loaded.get_integer, "//value")
    assert str(error).startswith(f"{tmp_path}/three.conf:2: //value: '3x'")


def test_the_same_file_may_be_included_twice(files):
    loaded = conf.load(
        files(main='<root><include file="c.conf"/><include file="c.conf"/></root>', c="<c><foo>1</foo></c>")
    )
    assert len(loaded.get_sections("/root/include/foo")) == 2


def test_an_include_without_its_attributes_is_an_element(files):
    loaded = conf.loads(b"<root><config><include>x</include></config></root>")
    assert loaded.get_hash(loaded.get_section("/root")) == {"include": "x"}
    assert loaded.includes == []


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ('snippet="true"', "needs the name of a file"),
        ('file=""', "needs the name of a file"),
        ('file="."', "needs the name of a file"),
        ('file="none.conf"', "cannot include {}/none.conf: No such file or directory"),
        ('file="/"', "needs the name of a file"),
        ('file=".."', "Is a directory"),
        ('file="main.conf" snippet="perhaps"', "snippet='perhaps': expected true, on, yes, false, off or no"),
        ('file="main.conf" ro=""', "ro='': expected true"),
    ],
)
def test_an_unusable_include_is_refused_with_its_line(files, attributes, reason):
    path = files(main=f"<root>\n<include {attributes}/></root>")
    error = refusal(conf.load, path)
    assert (error.file, error.line) == (str(path), 2)
    assert reason.format(path.parent) in error.message


def test_an_include_that_is_broken_is_named_itself(files):
    path = files(main='<root><include file="c.conf"/></root>', c="<c>\n\n</b>")
    error = refusal(conf.load, path)
    assert (error.file, error.line) == (str(path.parent / "c.conf"), 3)


def test_a_snippet_that_is_broken_has_the_line_of_its_file(files):
    head = '<?xml version="1.0"\nencoding="utf-8"?>\n'
    path = files(main='<root><include file="s.conf" snippet="on"/></root>', s=head + "<a></b>")
    error = refusal(conf.load, path)
    assert (error.file, error.line) == (str(path.parent / "s.conf"), 3)


@pytest.mark.parametrize("snippet", ["</snippet>", "<a/></snippet><snippet>", "</snippet><!--", "<!DOCTYPE a><a/>"])
def test_a_snippet_cannot_leave_its_include(files, snippet):
    refusal(conf.load, files(main='<root><include file="s.conf" snippet="on"/></root>', s=snippet))


def test_a_cycle_of_includes_is_refused_with_its_chain(files):
    path = files(
        main='<root><include file="b.conf"/></root>',
        b='<b>\n<include file="c.conf" snippet="true"/></b>',
        c='<include file="main.conf"/>',
    )
    folder = path.parent
    error = refusal(conf.load, path)
    assert str(error) == (
        f"{folder}/c.conf:1: include cycle: "
        f"{folder}/main.conf -> {folder}/b.conf -> {folder}/c.conf -> {folder}/main.conf"
    )


def test_a_cycle_through_a_link_is_refused(files, tmp_path):
    path = files(main='<root><include file="link.conf"/></root>')
    (tmp_path / "link.conf").symlink_to(path)
    assert "include cycle" in refusal(conf.load, path).message


def test_a_cycle_is_refused_without_a_main_file(files):
    path = files(a='<a><include file="a.conf"/></a>')
    error = refusal(conf.loads, b'<root><include file="a.conf"/></root>', directory=path.parent)
    assert "include cycle" in error.message


def test_endless_depth_is_refused(files):
    path = files(**{f"f{n}": f'<a><include file="f{n + 1}.conf"/></a>' for n in range(70)})
    assert "deeper than 64" in refusal(conf.load, path).message


def test_a_relative_include_in_memory_needs_a_directory(files):
    path = files(child="<child><foo/></child>")
    data = b'<root><include file="child.conf"/></root>'
    assert "no directory" in refusal(conf.loads, data).message
    assert conf.loads(data, directory=path.parent).get_section("//foo") is not None


def test_the_file_of_an_include_may_come_from_the_environment(files, monkeypatch):
    path = files(main='<root><include file="ENV:a.conf:{WHICH}"/></root>', a="<x><a/></x>", b="<x><b/></x>")
    monkeypatch.delenv("WHICH", raising=False)
    assert conf.load(path).get_section("/root/include/a") is not None
    monkeypatch.setenv("WHICH", "b.conf")
    assert conf.load(path).get_section("/root/include/b") is not None


def test_there_is_a_current_configuration_once_it_is_set():
    loaded = conf.loads(b"<root/>")
    conf.set_current(None)
    assert "no configuration is loaded" in str(refusal(conf.current))
    conf.set_current(loaded)
    try:
        assert conf.current() is loaded
    finally:
        conf.set_current(None)
