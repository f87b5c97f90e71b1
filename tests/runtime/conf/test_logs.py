"""The log graph as configured."""

import re
from pathlib import Path

import pytest

from runtime import conf, jlog, log
from runtime.conf import logs

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "logging.md"
EXAMPLES = re.findall(r"^```xml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def in_its_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def configure(inside: str, *, name: str = "a.conf") -> None:
    logs.configure(conf.loads(f"<application>\n<logs>{inside}</logs></application>".encode(), name))


def outlets(name: str) -> list[str]:
    assert log.stream_exists(name), name
    return [each.name for each in log.stream_find(name).outlets]


def refused(inside: str) -> str:
    with pytest.raises(conf.ConfError) as raised:
        configure(inside)
    return str(raised.value)


MANUAL = """
  <log name="logfile" type="file" path="app.log" rotate_bytes="10000000" retain_bytes="50000000" timestamps="on"/>
  <log name="internal" type="file" path="internal.log" require_env="MEMLOG"/>
  <console_output>
    <outlet name="stderr"/>
    <outlet name="internal"/>
    <outlet name="logfile"/>
    <log name="error"/>
  </console_output>
  <components>
    <error>
      <outlet name="error"/>
      <log name="error/example"/>
      <log name="error/sample"/>
    </error>
    <debug>
      <outlet name="debug"/>
      <log name="debug/example" disabled="true"/>
    </debug>
  </components>
"""


def test_the_manuals_example(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MEMLOG", "1")
    configure(MANUAL)
    assert outlets("error") == ["stderr", "internal", "logfile"]
    assert outlets("error/example") == outlets("error/sample") == ["error"]
    assert outlets("debug/example") == ["debug"]
    assert outlets("debug") == ["stderr"]
    assert [log.stream_find(name).enabled for name in ("debug/example", "debug", "notice")] == [False, False, True]
    log.stream_find("error/sample").log("sample\n")
    log.debug.log("not this\n")
    assert capfd.readouterr().err == Path("internal.log").read_text() == "sample\n"
    assert re.fullmatch(r"\[.{26}\] sample\n", Path("app.log").read_text())


def test_a_log_that_the_environment_turns_off_is_no_outlet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMLOG", raising=False)
    configure(MANUAL)
    assert outlets("error") == ["stderr", "logfile"]
    assert not log.stream_exists("internal")
    assert not Path("internal.log").exists()


def test_without_a_logs_section_nothing_changes() -> None:
    logs.configure(conf.loads(b"<application/>"))
    assert len(log.streams()) == 4 + len(log.FACILITIES)
    assert outlets("error") == ["stderr"]


def test_a_stream_uses_the_outlets_of_every_ancestor_up_to_logs_and_its_own() -> None:
    logs.configure(
        conf.loads(
            b"""<application><outlet name="not/this"/><logs><outlet name="stderr"/>
            <x><outlet name="error"/><y><log name="a"><outlet name="notice"/></log></y><z><outlet name="debug"/></z></x>
            <log name="b"/></logs></application>"""
        )
    )
    assert outlets("a") == ["stderr", "error", "notice"]
    assert outlets("b") == ["stderr"]


def test_logs_may_stand_in_an_include_of_the_root() -> None:
    Path("logs.xml").write_text('<logs><outlet name="notice"/><g><log name="a" facility="on"/></g></logs>')
    logs.configure(
        conf.loads(
            b'<application><include file="logs.xml" snippet="true"/><logs><outlet name="error"/>'
            b'<log name="b"/></logs></application>',
            "a.conf",
            directory=".",
        )
    )
    assert (outlets("a"), outlets("b")) == (["notice"], ["error"])


def test_outlets_included_within_logs_count_where_the_include_stands() -> None:
    Path("outlets.xml").write_text('<outlet name="notice"/><log name="inner"/>')
    logs.configure(
        conf.loads(
            b'<application><logs><g><include file="outlets.xml" snippet="true"/><log name="a"/></g>'
            b'<log name="b"/></logs></application>',
            "a.conf",
            directory=".",
        )
    )
    assert (outlets("a"), outlets("inner"), outlets("b")) == (["notice"], ["notice"], [])


def test_attributes_are_inherited_and_the_nearest_wins() -> None:
    configure(
        """<g timestamps="on" type="file" path="f" debug="yes"><h timestamps="off" facility="TRUE"><log name="a"/></h>
        <log name="b" disabled="on" debug="no" path="g"/></g>"""
    )
    a, b = log.stream_find("a"), log.stream_find("b")
    assert (a.type, a.path, a.flags) == ("file", "f", log.ENABLED | log.FACILITY | log.DEBUG)
    assert (b.type, b.path, b.flags) == ("file", "g", log.TIMESTAMPS)


def test_a_built_in_that_is_declared_keeps_what_is_not_said(capfd: pytest.CaptureFixture[str]) -> None:
    configure('<log name="error" facility="on"/><log name="debug"/><log name="stderr" timestamps="on"/>')
    assert outlets("error") == outlets("debug") == ["stderr"]
    assert not log.debug.enabled
    log.error.log("m\n")
    assert re.fullmatch(r"\[.{26}\] \[error\] m\n", capfd.readouterr().err)


def test_debug_is_enabled_by_saying_that_it_is_not_disabled() -> None:
    configure('<log name="debug" disabled="false"/>')
    assert log.debug.enabled


def test_a_built_in_with_a_type_writes_and_keeps_its_outlets_unless_others_apply() -> None:
    configure('<log name="error" type="file" path="e"/><g><outlet name="error"/><log name="notice"/></g>')
    assert (log.error.type, outlets("error"), outlets("notice")) == ("file", ["stderr"], ["error"])
    configure('<log name="stderr" type="file" path="s"/>')
    log.error.log("m\n")
    assert Path("e").read_text() == Path("s").read_text() == "m\n"


def test_a_stream_known_before_is_the_same_object_after(tmp_path: Path) -> None:
    before = log.stream_find("error/known")
    printer = log.new_stream("stdout", "file", fd=1)
    configure('<log name="error/known" type="file" path="k"/><log name="stdout" facility="on"/>')
    assert log.stream_find("error/known") is before
    assert (before.type, outlets("error/known")) == ("file", [])
    assert (printer.type, printer.flags) == ("file", log.ENABLED | log.FACILITY)


def test_an_undeclared_name_with_a_slash_is_made_from_its_parent() -> None:
    configure(
        '<log name="a"><outlet name="error/x/y"/></log><log name="b"><outlet name="c/z"/></log>'
        '<log name="c"><outlet name="error"/></log><log name="notice/untyped"/>'
        '<log name="d/typed" type="file" path="d"/>'
    )
    assert outlets("a") == ["error/x/y"]
    assert (outlets("error/x/y"), outlets("error/x")) == (["error/x"], ["error"])
    assert outlets("c/z") == ["c"]
    assert outlets("notice/untyped") == ["notice"]
    assert outlets("d/typed") == []
    assert not log.stream_exists("d")


def test_the_order_of_declarations_does_not_matter() -> None:
    configure(
        """<log name="first"><outlet name="second"/></log><log name="stderr"><outlet name="error"/></log>
        <log name="second" type="file" path="f"/><log name="error"><outlet name="second"/></log>"""
    )
    log.stream_find("first").log("m\n")
    assert (outlets("stderr"), outlets("error"), Path("f").read_text()) == (["error"], ["second"], "m\n")


def test_of_two_declarations_the_last_counts() -> None:
    configure('<log name="a"><outlet name="error"/></log><log name="a"><outlet name="notice"/></log>')
    assert outlets("a") == ["notice"]


def test_configuring_again_replaces_outlets_and_files() -> None:
    configure('<log name="f" type="file" path="1"/><log name="a"><outlet name="f"/></log>')
    configure('<log name="f" type="file" path="2"/><log name="a"><outlet name="f"/><outlet name="notice"/></log>')
    log.stream_find("f").log("m\n")
    assert outlets("a") == ["f", "notice"]
    assert (Path("1").read_text(), Path("2").read_text()) == ("", "m\n")


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ('\n<log name="a">\n<outlet name="nope"/></log>', "a.conf:4: log 'a': outlet 'nope' is no log"),
        ('<log name="a"><outlet name="nope/x"/></log>', "a.conf:2: log 'a': outlet 'nope/x' is no log"),
        ('<log name="a" type="tape" path="x"/>', "a.conf:2: log 'a': unknown type 'tape' (known: file, "),
        ('<log name="a" type="memory" path="9"/>', "a.conf:2: log 'a': the path of a memory log is 'lines,bytes'"),
        ('<log name="a" type="file" path="no/f"/>', "a.conf:2: log 'a': cannot open 'no/f': No such file or directory"),
        ('<log name="a" type="file"/>', "a.conf:2: log 'a': a file log needs either a path"),
        ('\n<log name="a" format="csv"/>', "a.conf:3: log 'a': unknown format 'csv' (known: flatbuffer, json, plain)"),
        ("<log/>", "a.conf:2: <log> needs a name"),
        ('<log name=""/>', "a.conf:2: <log> needs a name"),
        ('<log name="a"><outlet/></log>', "a.conf:2: <outlet> needs a name"),
        ('<log name="a" timestamps="maybe"/>', "a.conf:2: <log> timestamps='maybe': expected true, on, yes"),
        ('<log name="a" disabled=""/>', "a.conf:2: <log> disabled='': expected true, on, yes"),
        (
            '<log name="a"><outlet name="b"/></log>\n<log name="b"><outlet name="a"/></log>',
            "a.conf:3: log 'b': outlet 'a' would make a cycle: b -> a -> b",
        ),
        ('<log name="a"><outlet name="a"/></log>', "a.conf:2: log 'a': outlet 'a' would make a cycle: a -> a"),
        (
            '<log name="a"><outlet name="error" filter="exists(x"/></log>',
            "a.conf:2: <outlet> filter, character 9: expected ',' or ')'",
        ),
        (
            '\n<log name="a" type="file" path="f" rotate_bytes="1k"/>',
            "a.conf:3: log 'a': rotate_bytes='1k': expected a whole number",
        ),
        (
            '<log name="a" dedup_seconds="often"/>',
            "a.conf:2: <log> dedup_seconds='often': expected a number of seconds",
        ),
        ('<log name="a" stats="maybe"/>', "a.conf:2: <log> stats='maybe': expected true, on, yes"),
        ('<log name="a" type="jlog" path="j(x"/>', "a.conf:2: log 'a': the path of a jlog is a directory, or"),
        ('<log name="a" require_env="=x"/>', "a.conf:2: <log> require_env='=x'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(inside: str, message: str) -> None:
    assert refused(inside).startswith(message)


def test_types_formats_limits_and_filters_are_configured() -> None:
    configure(
        """<log name="memory" type="memory" path="10,1000"/>
        <log name="journal" type="jlog" path="j(reader)"><config><segment_size>4096</segment_size></config></log>
        <log name="lines" type="file" path="lines" format="json" stats="on" rotate_bytes="1" dedup_seconds="5"/>
        <log name="a"><outlet name="memory"/><outlet name="journal"/>
          <outlet name="lines" filter="and(facility = 'a', message ~ 'x')"/></log>"""
    )
    for text in ("x\n", "y\n", "x\n"):
        log.stream_find("a").log(text)
    memory = log.stream_find("memory").ctx
    assert isinstance(memory, log.Memory)
    assert [line for _, _, line in memory.entries()] == [b"x\n", b"y\n", b"x\n"]
    assert [each.data for each in jlog.Reader("j", "reader")] == [b"x\n", b"y\n", b"x\n"]
    assert Path("lines").read_text().count('"message": "x\\n"') == 1, "no line that passes came between"
    assert log.stream_find("lines").lines == 2
    log.maintain(5_000_000_000)
    assert Path("lines.5000000000").exists()


def test_a_mistake_in_an_included_file_is_placed_there() -> None:
    Path("logs.xml").write_text('<logs>\n<log name="a" type="pigeon"/>\n</logs>')
    with pytest.raises(conf.ConfError, match=r"^logs.xml:2: log 'a': unknown type 'pigeon'"):
        logs.configure(
            conf.loads(b'<application><include file="logs.xml" snippet="true"/></application>', "a.conf", directory=".")
        )


def test_sections_and_outlets_that_the_environment_turns_off_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEVER", raising=False)
    configure(
        """<log require_env="NEVER"/><g require_env="NEVER"><log name="x" type="pigeon"/></g>
        <log name="a"><outlet name="error"/><outlet name="nope" require_env="NEVER"/></log>
        <log name="b" type="file" path="1" require_env="NEVER"/><log name="b" type="file" path="2"/>
        <log name="c"><outlet name="b"/></log>"""
    )
    assert (outlets("a"), outlets("c"), log.stream_find("b").path) == (["error"], ["b"], "2")
    assert not log.stream_exists("x")


def test_values_are_fixed_up_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "there")
    configure('<log name="a" type="file" path="ENV:x:{WHERE}"><outlet name="ENV:notice:{NO_SUCH_LOG}"/></log>')
    assert (log.stream_find("a").path, outlets("a")) == ("there", ["notice"])


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("trace", [False, True])
def test_the_examples_of_the_reference_load(example: str, trace: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACE", raising=False)
    if trace:
        monkeypatch.setenv("TRACE", "1")
    logs.configure(conf.loads(example.encode(), "example", app="application"))
    assert log.debug.enabled is ("TRACE" in example and trace)


def test_the_examples_of_the_reference_do_what_it_says(capfd: pytest.CaptureFixture[str]) -> None:
    first, _, types, last = EXAMPLES
    logs.configure(conf.loads(first.encode()))
    log.stream_find("error/example").log("x\n")
    assert re.fullmatch(r"\[.{26}\] \[error/example\] x\n", Path("app.log").read_text())
    assert capfd.readouterr().err == "[error/example] x\n"
    log.debug.set_flags(log.ENABLED)
    log.stream_find("debug/example").log("y\n")
    assert capfd.readouterr().err == ""
    logs.configure(conf.loads(types.encode()))
    access = log.stream_find("http/access")
    access.log("kept out\n", pairs={"status": 503, "uri": "/health/1"})
    access.log("passes\n", pairs={"status": 503, "uri": "/x"})
    log.close_all()
    assert [each.data for each in jlog.Reader("feed.jlog", "shipper")] == [b"passes\n"]
    log.init()
    logs.configure(conf.loads(last.encode()))
    log.stream_find("app").log("z\n")
    assert Path("plain.log").read_text() == "z\n"
    assert re.fullmatch(r"\[.{26}\] \[app\] \[t@\d+/MainThread,test_logs\.py:\d+\] z\n", Path("full.log").read_text())
