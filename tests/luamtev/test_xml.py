"""XML documents: nothing leaks, nothing outside is read, and every node is what the text says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from measuring import RESIDENT

from luamtev.api import xml, xml_nodes
from luamtev.bridge import Handles
from runtime import log, xmltext


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> list[Handles[Any]]:
    """The handle tables of the states made in the test."""
    made: list[Handles[Any]] = []

    class Counted(Handles[Any]):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(xml, "Handles", Counted)
    return made


def test_a_million_nodes_leave_no_memory_and_no_handle(lua: Any, tables: list[Handles[Any]]) -> None:
    text = lua(
        RESIDENT
        + """
        local xml = "<r>" .. ("<a k='v'>text<b/></a>"):rep(250) .. "</r>"
        local function use()
          local doc, n = mtev.parsexml(xml), 0
          for a in doc:xpath("//a") do
            assert(a:attr("k") == "v" and a:contents() == "text" and a:name() == "a")
            n = n + 1
          end
          for child in doc:root():children() do n = n + 1 end
          local b = doc:root():children()():next()
          b:contents("changed")
          return n
        end
        function main()
          local n = 0
          for i = 1, 300 do n = n + use() end
          local before = resident()
          for i = 1, 1800 do n = n + use() end
          print(n >= 1000000, resident() - before < 4000000)
          print(mtev.parsexml(xml):root():contents() == ("text"):rep(250))
          collectgarbage() collectgarbage()
          os.exit(0)
        end
        """
    )
    assert text == "true\ttrue\ntrue\n"
    assert lua.on_thread(lambda: len(tables[-1])) < 10  # what slots of the stack still hold


def test_documents_are_collected_though_lua_sees_only_small_tables(lua: Any, tables: list[Handles[Any]]) -> None:
    lua(
        """
        function main()
          local xml = "<r>" .. ("<a>text</a>"):rep(100000) .. "</r>"
          collectgarbage("stop") -- not by its own pace
          for i = 1, 40 do mtev.parsexml(xml) end
          os.exit(0)
        end
        """
    )
    assert lua.on_thread(lambda: len(tables[-1])) < 20


def test_a_closed_state_lets_go_of_its_documents(lua: Any, tables: list[Handles[Any]]) -> None:
    lua("doc = mtev.parsexml('<a><b/></a>') b = doc:xpath('//b')() function main() os.exit(0) end")
    assert len(tables[-1]) == 2
    lua.close()
    assert len(tables[-1]) == 0


def test_two_states_parse_at_the_same_time(lua: Any) -> None:
    source = """
        function main()
          local xml = "<r>" .. ("<a k='v'>text</a>"):rep(200) .. "</r>"
          for i = 1, 300 do
            local n = 0
            for a in mtev.parsexml(xml):xpath("/r/a[@k='v']") do
              if a:contents() == "text" then n = n + 1 end
            end
            assert(n == 200)
          end
          os.exit(0)
        end
    """
    for thread in (0, 1):
        lua.start(source, thread=thread, tragedy_terminates=True)
    assert [lua.status(), lua.status()] == [0, 0], lua.errors()


def test_what_libxml2_says_is_in_its_log(lua: Any, tmp_path: Path) -> None:
    stream = log.stream_find("debug/xml")
    stream.remove_all_outlets()
    stream.add_outlet(log.new_stream("test/debug", type="file", path=str(tmp_path / "debug")))
    stream.set_flags(stream.get_flags() | log.ENABLED)
    lua(
        """
        function main()
          assert(mtev.parsexml("<a>") == nil)
          assert(mtev.parsexml("<a/>"):xpath("][")() == nil)
          os.exit(0)
        end
        """
    )
    lines = (tmp_path / "debug").read_text().splitlines()
    assert len(lines) == 2
    assert "parsexml: Premature end of data in tag a line 1" in lines[0]
    assert "xpath ][: Invalid expression" in lines[1]


def test_no_file_and_no_host_is_asked_for(
    luamtev: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    secret = tmp_path / "secret"
    secret.write_text("<!ENTITY inner 'secret'>")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        done = luamtev(
            "main.lua",
            source=f"""
            function main()
              for _, url in ipairs({{ "{secret}", "file://{secret}", "http://127.0.0.1:{port}/x.dtd" }}) do
                for _, form in ipairs({{
                  '<!DOCTYPE a SYSTEM "URL"><a>&inner;</a>', '<!DOCTYPE a PUBLIC "x" "URL"><a/>',
                  '<!DOCTYPE a [<!ENTITY % p SYSTEM "URL"> %p;]><a>&inner;</a>',
                  '<!DOCTYPE a [<!ENTITY e SYSTEM "URL">]><a>&e;</a>',
                }}) do
                  local doc = mtev.parsexml((form:gsub("URL", url)))
                  if doc then print(doc:root():contents()) end
                end
              end
              os.exit(0)
            end
            """,
        )
        assert (done.stdout, done.stderr) == (b"\n\n\n", b"")  # only those that need nothing from outside
        with pytest.raises(BlockingIOError):
            server.accept()


NAMES = st.sampled_from(["a", "b", "long-name", "é"])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=5)
LEAVES = st.one_of(
    TEXTS.filter(bool).map(lambda text: ("text", text)),
    TEXTS.filter(lambda text: "--" not in text and not text.endswith("-")).map(lambda text: ("comment", text)),
)
Tree = tuple[Any, ...]


def merged(nodes: list[Tree]) -> list[Tree]:
    """*nodes* with neighbouring texts as one, as a parser sees them."""
    result: list[Tree] = []
    for node in nodes:
        if node[0] == "text" and result and result[-1][0] == "text":
            result[-1] = ("text", result[-1][1] + node[1])
        else:
            result.append(node)
    return result


def elements(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.tuples(
        st.just("element"), NAMES, st.dictionaries(NAMES, TEXTS, max_size=2), st.lists(inner, max_size=4).map(merged)
    )


TREES = elements(st.recursive(LEAVES, elements, max_leaves=12))


def written(node: Tree) -> str:
    if node[0] == "text":
        return escape(node[1])
    if node[0] == "comment":
        return f"<!--{node[1]}-->"
    _, name, attributes, children = node
    inside = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{inside}>{''.join(map(written, children))}</{name}>"


def text_of(node: Tree) -> str:
    if node[0] == "element":
        return "".join(text_of(child) for child in node[3] if child[0] != "comment")
    return str(node[1])


def check(node: Any, tree: Tree) -> None:
    name = tree[1] if tree[0] == "element" else tree[0]
    assert xml_nodes.value(node, b"name", b"") == name.encode()
    assert xml_nodes.value(node, b"contents", b"") == text_of(tree).encode()
    children = list(xml_nodes.children(node))
    if tree[0] != "element":
        assert children == []
        return
    for key, value in tree[2].items():
        assert xml_nodes.value(node, b"attr", key.encode()) == value.encode()
    assert len(children) == len(tree[3])
    for place, (child, expected) in enumerate(zip(children, tree[3], strict=True)):
        check(child, expected)
        behind = [xml_nodes.value(each, b"contents", b"") for each in xml_nodes.following(child)]
        assert behind == [text_of(each).encode() for each in tree[3][place + 1 :]]
    for what in (b"name", b"contents"):
        packed = xml_nodes.column(children, what, b"").decode().split(xml_nodes.SEPARATOR) if children else []
        for child, value in zip(children, packed, strict=True):
            assert value in (xml_nodes.ABSENT, (xml_nodes.value(child, what, b"") or b"").decode())


@given(TREES)
@settings(max_examples=150, deadline=None)
def test_every_node_is_what_the_text_says(tree: Tree) -> None:
    text = written(tree)
    root = etree.fromstring(text.encode(), xmltext.parser(strip_cdata=False))
    check(root, tree)
    again = (
        xml_nodes.value(etree.fromstring(xml.serialize(root), xmltext.parser(strip_cdata=False)), b"contents", b"")
        or b""
    )
    assert "".join(again.decode().split()) == "".join(text_of(tree).split())  # indentation may be added


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_a_document(text: bytes) -> None:
    class NoState:
        pass

    parse: Any = xml.functions(NoState())["xml_parse"]  # type: ignore[arg-type]
    assert parse(text) in (None, 1)
