"""Changes written back: to the file they belong to, whole or not at all."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from runtime import conf, hooks, log
from runtime.conf import ConfError

MAIN = """<?xml version="1.0"?>
<!-- kept -->
<app name="x">
  <a>1</a>
  <include file="child.conf"/>
  <include file="snippet.conf" snippet="true"/>
  <include file="fixed.conf" ro="true"/>
  <!-- also kept -->
  <nodes backingstore="nodes.d" note="n"><node id="1"><v>one</v></node></nodes>
</app>
"""
CHILD = '<child kept="yes"><foo>1</foo><include file="inner.conf" snippet="true"/></child>'


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "main.conf": MAIN,
        "child.conf": CHILD,
        "inner.conf": "<deep>1</deep>",
        "snippet.conf": "<bar>1</bar>\n<baz/>\n",
        "fixed.conf": "<fixed><f>1</f></fixed>",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path / "main.conf"


def contents(directory: Path) -> dict[str, bytes]:
    return {str(each.relative_to(directory)): each.read_bytes() for each in directory.rglob("*") if each.is_file()}


def changed_by(directory: Path, change: Any) -> set[str]:
    before = contents(directory)
    change()
    after = contents(directory)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/app/a", "main.conf"),
        ("/app/new", "main.conf"),
        ("/app/@name", "main.conf"),
        ("/app/include/foo", "child.conf"),
        ("/app/include/include/deep", "inner.conf"),
        ("/app/include/bar", "snippet.conf"),
    ],
)
def test_a_change_is_written_to_its_own_file_and_nothing_else(main: Path, path: str, file: str) -> None:
    loaded = conf.load(main)
    assert not loaded.unwritten
    assert loaded.set_string(path, "<changed> & more")
    assert loaded.unwritten
    changed = {each for each in changed_by(main.parent, lambda: loaded.save()) if not each.startswith("nodes.d/")}
    assert changed == {file}
    assert not loaded.unwritten
    again = conf.load(main)
    assert again.get_string(path) == "<changed> & more"
    assert same(again.root, loaded.root)
    assert changed_by(main.parent, lambda: loaded.save()) == set()


def same(one: Any, two: Any) -> bool:
    def plain(element: Any) -> Any:
        children = [plain(each) for each in element if isinstance(each.tag, str)]
        return element.tag, dict(element.attrib), (element.text or "").strip(), children

    return bool(plain(one) == plain(two))


def test_comments_roots_and_modes_of_files_stay(main: Path) -> None:
    main.chmod(0o640)
    link = main.with_name("link.conf")
    link.symlink_to("main.conf")
    loaded = conf.load(link)
    loaded.set_string("/app/a", "2")
    loaded.set_string("/app/include/foo", "2")
    loaded.save()
    assert b"<!-- kept -->" in main.read_bytes()
    assert b"<!-- also kept -->" in main.read_bytes()
    assert main.read_bytes().count(b"<foo") == 0, "what was included stays where it was"
    assert main.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert b'<child kept="yes">' in (main.parent / "child.conf").read_bytes()
    assert b"<deep" not in (main.parent / "child.conf").read_bytes()
    assert [each.name for each in main.parent.iterdir() if each.name.startswith(".")] == []


def test_a_read_only_include_is_never_written(main: Path) -> None:
    loaded = conf.load(main)
    loaded.set_string("/app/include/f", "2")
    assert not {each for each in changed_by(main.parent, lambda: loaded.save()) if "nodes.d" not in each}
    assert loaded.get_string("//f") == "2"


def test_deletions_are_written(main: Path) -> None:
    loaded = conf.load(main)
    section = loaded.get_section("/app/include/foo")
    assert section is not None
    loaded.remove_section(section)
    loaded.replace_string("/app/include[2]/bar", "9")
    changed = changed_by(main.parent, lambda: loaded.save())
    assert {each for each in changed if "nodes.d" not in each} == {"child.conf", "snippet.conf"}
    again = conf.load(main)
    assert again.get_section("//foo") is None
    assert again.get_string("//bar") == "9"


def test_a_hook_can_keep_a_section(main: Path) -> None:
    loaded = conf.load(main)
    hook = hooks.find("mtev_conf_delete_section")
    assert hook is not None
    hook.register("test", lambda _conf, section: hooks.ABORT if section.tag == "foo" else hooks.CONTINUE)
    try:
        with pytest.raises(ConfError, match=r"child.conf:1: <foo> must not be deleted"):
            loaded.replace_string("/app/include/foo", "2")
        assert loaded.replace_string("/app/include/bar", "2")
    finally:
        hook.unregister("test")
    assert loaded.get_string("//foo") == "1"


def test_what_somebody_else_changed_is_not_overwritten(main: Path) -> None:
    loaded = conf.load(main)
    loaded.set_string("/app/a", "2")
    loaded.set_string("/app/include/foo", "2")
    main.write_text("<app><a>operator</a></app>")
    with pytest.raises(ConfError, match=r"main.conf: somebody else changed it since it was read"):
        loaded.save()
    assert main.read_text() == "<app><a>operator</a></app>"
    assert b"<foo>2</foo>" in (main.parent / "child.conf").read_bytes(), "the others are written"
    assert loaded.unwritten


def test_a_file_that_cannot_be_written_stays_and_is_told_once(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = conf.load(main)
    errors = log.new_stream("error/conf", "memory", "10,1000")

    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    loaded.set_string("/app/a", "2")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        before = contents(main.parent)
        assert not loaded.save_quietly()
        assert not loaded.save_quietly()
        assert contents(main.parent) == before
    assert isinstance(errors.ctx, log.Memory)
    (told,) = errors.ctx.entries()
    assert told[2].startswith(b"configuration not saved: ")
    assert told[2].endswith(b": cannot write: No space left on device\n")
    assert loaded.save_quietly()
    assert conf.load(main).get_string("/app/a") == "2"


def test_changes_are_written_once_nothing_changed_for_a_while(main: Path) -> None:
    journal = log.new_stream("config", "memory", "10,100000")
    loaded = conf.load(main)
    loaded.tick()
    loaded.set_string("/app/a", "2")
    start = time.monotonic()
    assert changed_by(main.parent, lambda: loaded.tick(start + 9)) == set()
    loaded.set_string("/app/a", "3")
    assert "main.conf" in changed_by(main.parent, lambda: loaded.tick(start + 11))
    assert changed_by(main.parent, lambda: loaded.tick(start + 30)) == set()
    assert isinstance(journal.ctx, log.Memory)
    (entry,) = journal.ctx.entries()
    assert b"<a>3</a>" in entry[2]
    assert b"<foo>1</foo>" in entry[2]


def test_what_could_not_be_written_is_tried_again(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = log.new_stream("config", "memory", "10,100000")
    loaded = conf.load(main)
    loaded.set_string("/app/a", "2")
    start = time.monotonic()

    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        loaded.tick(start + 11)
        before = contents(main.parent)
    loaded.tick(start + 59)
    assert contents(main.parent) == before
    loaded.tick(time.monotonic() + 61)
    assert conf.load(main).get_string("/app/a") == "2" and not loaded.unwritten
    assert isinstance(journal.ctx, log.Memory)
    assert len(journal.ctx.entries()) == 1


def test_reloading_takes_what_the_files_say_now(main: Path) -> None:
    loaded = conf.load(main, app="app")
    generation = loaded.generation
    main.write_text(MAIN.replace("<a>1</a>", "<a>new</a>"))
    loaded.reload()
    assert (loaded.get_string("/app/a"), loaded.get_string("//v")) == ("new", "one")
    assert loaded.generation > generation
    loaded.set_string("/app/nodes/node/v", "two")
    loaded.save()
    assert conf.load(main).get_string("//v") == "two"


@pytest.mark.parametrize("bad", ["<app><a>", "<other/>", '<app><include file="missing.conf"/></app>'])
def test_a_bad_file_keeps_the_old_configuration(main: Path, bad: str) -> None:
    loaded = conf.load(main, app="app")
    before = loaded.tostring()
    main.write_text(bad)
    with pytest.raises(ConfError, match=r"main.conf:1: "):
        loaded.reload()
    assert loaded.tostring() == before


def test_nothing_unwritten_is_lost_by_reloading(main: Path) -> None:
    loaded = conf.load(main)
    loaded.set_string("/app/a", "2")
    with pytest.raises(ConfError, match="there are changes that are not written yet"):
        loaded.reload()
    loaded.save()
    loaded.reload()
    assert loaded.get_string("/app/a") == "2"
    with pytest.raises(ConfError, match="came from no file"):
        conf.loads(b"<app/>").reload()


def test_sections_are_held_against_other_threads(main: Path) -> None:
    loaded = conf.load(main)

    def work() -> None:
        for _ in range(200):
            with loaded.section_write("/app/a") as section:
                assert section is not None
                section.text = str(int(section.text or 0) + 1)
            with loaded.section_read("/app/a") as held:
                assert held is not None
                first = held.text
                assert held.text == first

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert loaded.get_integer("/app/a") == 801
    assert loaded.unwritten


# Backing stores


def test_a_node_is_shattered_into_its_directory(main: Path) -> None:
    loaded = conf.load(main)
    loaded.set_string("/app/nodes/node/v", "two")
    changed = changed_by(main.parent, lambda: loaded.save())
    assert changed == {"nodes.d/.node", "nodes.d/1/.node", "nodes.d/1/2.xml"}
    loaded.set_string("/app/a", "2")
    loaded.save()
    assert b"<v>" not in main.read_bytes()
    again = conf.load(main)
    assert again.get_string("/app/nodes/node/v") == "two"
    assert again.get_string("/app/nodes/@note") == "n"
    assert same(again.root, loaded.root)


def test_a_store_that_could_not_be_written_is_written_by_the_next_save(
    main: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = conf.load(main)
    loaded.save()
    loaded.set_string("/app/nodes/node/v", "two")

    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(ConfError, match=r"nodes\.d.*No space left on device"):
            loaded.save()
    assert loaded.unwritten
    assert loaded.save()
    assert conf.load(main).get_string("/app/nodes/node/v") == "two" and not loaded.unwritten


def test_a_change_to_one_node_touches_one_file(main: Path) -> None:
    loaded = conf.load(main)
    nodes = loaded.get_section("/app/nodes")
    assert nodes is not None
    for number in range(50):
        node = etree.SubElement(nodes, "node", id=f"n{number}")
        etree.SubElement(node, "v").text = str(number)
    loaded.mark_changed(nodes)
    loaded.save()
    again = conf.load(main)
    again.set_string("/app/nodes/node[@id='n7']/v", "seven")
    assert len(changed_by(main.parent, lambda: again.save())) == 1
    again.set_string("/app/nodes/node[@id='n7']/@extra", "yes")
    assert len(changed_by(main.parent, lambda: again.save())) == 1
    gone = again.get_section("//node[@id='n9']")
    assert gone is not None
    again.remove_section(gone)
    assert len(changed_by(main.parent, lambda: again.save())) == 3, "the node, its child and who named it"
    final = conf.load(main)
    assert same(final.root, again.root)
    assert len(final.get_sections("//node")) == 50


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<app backingstore="d"/>', "<app> backingstore: the root element cannot have one"),
        ('<app><n backingstore=""/></app>', "<n> backingstore: expected the name of a directory"),
        ('<app><n backingstore="d"><include file="fixed.conf"/></n></app>', "what is kept there cannot include files"),
    ],
)
def test_a_store_that_cannot_be_is_refused(main: Path, text: str, message: str) -> None:
    main.write_text(text)
    with pytest.raises(ConfError, match=message):
        conf.load(main)


def test_a_broken_store_is_an_error_that_names_the_file(main: Path) -> None:
    loaded = conf.load(main)
    loaded.mark_changed()
    loaded.save()
    (main.parent / "nodes.d" / "1" / "2.xml").write_text("<v>")
    with pytest.raises(ConfError, match=r"nodes.d/1/2.xml:1: "):
        conf.load(main)
    (main.parent / "nodes.d" / "1" / "2.xml").unlink()
    with pytest.raises(ConfError, match=r"nodes.d/1/2/.node: cannot read"):
        conf.load(main)


names = st.sampled_from(["v", "w", "x"])
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=5).map(str.strip)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["set", "add", "remove"]), st.integers(0, 5), names, texts), max_size=12))
def test_whatever_is_done_to_a_store_is_read_back(steps: list[Any]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "m.conf"
        path.write_text('<app><nodes backingstore="d"/></app>')
        loaded = conf.load(path)
        for what, number, name, text in steps:
            nodes = loaded.get_section("/app/nodes")
            assert nodes is not None
            node = nodes.find(f"n{number}")
            if what == "add":
                etree.SubElement(
                    node if node is not None else nodes, f"n{number}" if node is None else name
                ).text = text
                loaded.mark_changed(nodes)
            elif what == "set" and node is not None:
                loaded.set_string(f"/app/nodes/n{number}/{name}", text)
            elif node is not None:
                loaded.remove_section(node)
            if number % 2:
                loaded.save()
        loaded.save()
        assert same(conf.load(path).root, loaded.root)


KILLED = """
import sys
from runtime import conf
loaded = conf.load(sys.argv[1])
number = int(sys.argv[2])
while True:
    number += 1
    filler = "x" * (number * 7919 % 5000)
    for path in ("/app/a", "/app/include/foo", "/app/nodes/node/v"):
        loaded.set_string(path, f"{number} {filler}")
    loaded.save()
    print(number, flush=True)
"""


def survives(main: Path, kills: int) -> None:
    number = 1
    for kill in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(main), str(number)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            number = int(process.stdout.readline())
            time.sleep((kill * 7919 % 100) / 4000)
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
        number = int(rest[-1]) if rest and rest[-1].isdecimal() else number
        loaded = conf.load(main)
        for path in ("/app/a", "/app/include/foo", "/app/nodes/node/v"):
            text, _, filler = (loaded.get_string(path) or "").partition(" ")
            assert int(text) in (number, number + 1), path
            assert filler == "x" * (int(text) * 7919 % 5000), "the old or the new, whole"
        number += 1


def test_a_process_killed_while_it_writes_leaves_old_or_new(main: Path) -> None:
    survives(main, 5)


@pytest.mark.soak
def test_a_process_killed_two_hundred_times_while_it_writes_leaves_old_or_new(main: Path) -> None:
    survives(main, 200)


def test_nobody_who_asks_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "app.conf"
    file.write_text('<app><kept backingstore="store"/><a>1</a></app>')
    configuration = conf.load(file)
    configuration.set_string("/app/a", "2")
    configuration.set_string("/app/kept/b", "3")
    at_the_disk, go_on = threading.Event(), threading.Event()

    def fsync(_fd: int) -> None:
        at_the_disk.set()
        assert go_on.wait(60)

    monkeypatch.setattr(os, "fsync", fsync)
    saver = threading.Thread(target=configuration.save)
    saver.start()
    assert at_the_disk.wait(60)
    assert configuration.get_string("/app/a") == "2"
    with configuration.lock:
        configuration.set_string("/app/a", "4")
    with pytest.raises(ConfError, match="another thread is still writing it"):
        configuration.save(timeout=0.01)
    assert configuration.save_quietly(timeout=0.01) is False
    go_on.set()
    saver.join(60)
    assert "<a>2</a>" in file.read_text()
    assert configuration.unwritten
    configuration.save()
    assert "<a>4</a>" in file.read_text()
    assert not configuration.unwritten


def test_what_could_not_be_written_stays_changed_beside_what_changed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "app.conf"
    file.write_text("<app><a>1</a></app>")
    configuration = conf.load(file)
    configuration.set_string("/app/a", "2")

    def fsync(_fd: int) -> None:
        configuration.set_string("/app/a", "3")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(ConfError, match="No space left"):
            configuration.save()
    assert file.read_text() == "<app><a>1</a></app>"
    assert configuration.unwritten
    configuration.save()
    assert "<a>3</a>" in file.read_text()
