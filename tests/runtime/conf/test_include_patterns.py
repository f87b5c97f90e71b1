"""``<include file="conf.d/*.conf"/>``: files by pattern."""

from pathlib import Path

import pytest

from runtime import conf


def tree(directory: Path, pattern: str, attributes: str = "") -> conf.Conf:
    main = directory / "main.conf"
    main.write_text(f'<app><checks><include file="{pattern}"{attributes}/></checks></app>')
    return conf.load(main)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("b.conf", "a.conf", "c.xml", "ab.conf", ".hidden.conf", "x[1].conf"):
        (folder / name).write_text(f'<part><check name="{name}"/></part>')
    return tmp_path


def names(found: conf.Conf) -> list[str]:
    return [str(each.get("name")) for each in found.get_sections("//check")]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("conf.d/*.conf", ["a.conf", "ab.conf", "b.conf", "x[1].conf"]),
        ("conf.d/?.conf", ["a.conf", "b.conf"]),
        ("conf.d/{c.xml,b.conf}", ["c.xml", "b.conf"]),
        ("conf.d/*.{xml,conf}", ["c.xml", "a.conf", "ab.conf", "b.conf", "x[1].conf"]),
        ("conf.d/{a,ab,a}.conf", ["a.conf", "ab.conf"]),
        ("*.d/a*.conf", ["a.conf", "ab.conf"]),
        ("conf.d/x[1]*", ["x[1].conf"]),
        ("conf.d/*.none", []),
        ("nowhere/*.conf", []),
    ],
)
def test_files_are_found_by_pattern(files: Path, pattern: str, expected: list[str]) -> None:
    assert names(tree(files, pattern)) == expected


def test_what_is_found_stands_where_an_include_has_it_and_inherits_from_it(files: Path) -> None:
    found = tree(files, "conf.d/?.conf", ' period="60"')
    assert len(found.get_sections("/app/checks/include/check")) == 2
    assert [found.inherited(each, "period") for each in found.get_sections("//check")] == ["60", "60"]


def test_a_file_that_has_such_a_name_is_that_file(files: Path) -> None:
    (files / "conf.d" / "{a}*.conf").write_text('<part><check name="odd"/></part>')
    assert names(tree(files, "conf.d/{a}*.conf")) == ["odd"]


def test_snippets_are_found_and_nested_includes_start_from_their_own_folder(files: Path) -> None:
    deeper = files / "conf.d" / "deeper"
    deeper.mkdir()
    (files / "conf.d" / "a.snip").write_text('<check name="one"/><check name="two"/>')
    (files / "conf.d" / "b.snip").write_text('<include file="deeper/*.conf"/>')
    (deeper / "last.conf").write_text('<part><check name="three"/></part>')
    assert names(tree(files, "conf.d/*.snip", ' snippet="true"')) == ["one", "two", "three"]


def test_a_mistake_names_the_file_that_has_it(files: Path) -> None:
    (files / "conf.d" / "b.conf").write_text("<part>\n<check></part>")
    with pytest.raises(conf.ConfError, match=r"b\.conf.*2"):
        tree(files, "conf.d/*.conf")
    with pytest.raises(conf.ConfError, match="include cycle"):
        tree(files, "*.conf")


def test_each_file_gets_its_own_changes_back_and_the_pattern_stays(files: Path) -> None:
    found = tree(files, "conf.d/?.conf")
    check = next(each for each in found.get_sections("//check") if each.get("name") == "b.conf")
    found.set_string("//check[@name='b.conf']/@period", "60")
    assert check.get("period") == "60"
    found.set_string("/app/@seen", "yes")
    assert found.save_quietly()
    assert 'period="60"' in (files / "conf.d" / "b.conf").read_text()
    assert "period" not in (files / "conf.d" / "a.conf").read_text()
    main = (files / "main.conf").read_text()
    assert '<checks><include file="conf.d/?.conf"/></checks>' in main and 'seen="yes"' in main
    assert names(conf.load(files / "main.conf")) == ["a.conf", "b.conf"]
