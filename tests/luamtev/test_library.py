"""The annotations for editors name every function of the running API, and nothing else; their parameters are the
reference's."""

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from webprogram import Web

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "luamtev" / "library"
FUNCTION = re.compile(r"^function (?P<holder>[\w.]+)[.:](?P<name>\w+)\((?P<params>.*)\) end$", re.MULTILINE)
CLASS = re.compile(r"^---@class ([\w.]+)\n(?:---.*\n)*(?:local )?(?P<variable>[\w.]+) = \{\}$", re.MULTILINE)
HEADING = re.compile(r"\bmtev\.([\w.]+)\(([^()]*)\)")

METHODS = """
local function methods(class, object)
  local meta = getmetatable(object)
  if type(meta) ~= "table" then return end
  for name, value in pairs(type(meta.__index) == "table" and meta.__index or {}) do
    if type(value) == "function" and name:sub(1, 1) ~= "_" then print(class .. "." .. name) end
  end
end
"""

OBJECTS = """
function main()
  for name, value in pairs(mtev) do
    if type(value) == "function" then print("mtev." .. name) end
    if type(value) == "table" then
      for member, inner in pairs(value) do
        if type(inner) == "function" and member:sub(1, 1) ~= "_" then print("mtev." .. name .. "." .. member) end
      end
    end
  end
  methods("mtev.timeval", mtev.timeval.now())
  methods("mtev.semaphore", mtev.semaphore("s", 1))
  methods("mtev.json", mtev.tojson({}))
  methods("mtev.xmldoc", mtev.parsexml("<a/>"))
  methods("mtev.xmlnode", mtev.parsexml("<a/>"):root())
  methods("mtev.timezone", mtev.timezone("UTC"))
  methods("mtev.eventer", mtev.socket("inet"))
  methods("mtev.process", (mtev.spawn("true")))
  methods("mtev.Proc.watch", mtev.Proc:new({ path = "true" }):logwatch("x"))
  methods("mtev.Api.result", mtev.Api:http("127.0.0.1", 1):get("/"))
  local dns = mtev.dns("127.0.0.1:1")
  methods("mtev.dns", dns)
  for name, value in pairs(dns) do if type(value) == "function" then print("mtev.dns." .. name) end end -- no method
  methods("mtev.bignum", mtev.bignum_new(1))
  methods("mtev.consul.service", mtev.consul.service("a", nil, nil, 1))
  local key = mtev.newrsa(1024)
  methods("mtev.rsa", key)
  methods("mtev.csr", key:gencsr({ subject = { CN = "a" } }))
  mtev.enable_log("error", false)
  mtev.websocket_client_connect("127.0.0.1", 1, "/", "", { cleanup = function(client)
    methods("mtev.websocket_client", client)
    mtev.notify("over")
  end })
  mtev.waitfor("over")
  methods("mtev.trace_subscription", mtev.trace.subscribe("http-close", print))
  os.exit(0)
end
"""

HANDLER = """
function handler(rest)
  local said = {}
  local print = function(text) said[#said + 1] = text end
  setfenv(methods, setmetatable({ print = print }, { __index = _G }))
  methods("mtev.http_rest", rest)
  methods("mtev.http_ctx", rest:http())
  methods("mtev.http_request", rest:http():request())
  rest:http():request():multipart(function(part) methods("mtev.http_part", part) end)
  rest:http():write(table.concat(said, "\\n"))
  rest:http():flush_end()
end
"""


def annotated() -> dict[str, str]:
    """The annotated functions, by the class or table they belong to and their name: their parameters."""
    found = {}
    for file in LIBRARY.glob("*.lua"):
        text = file.read_text()
        holders = {match["variable"]: match[1] for match in CLASS.finditer(text) if "." not in match["variable"]}
        for match in FUNCTION.finditer(text):
            found[f"{holders.get(match['holder'], match['holder'])}.{match['name']}"] = match["params"]
    return found


ABSENT = set(re.findall(r'"(\w+)"', (ROOT / "luamtev" / "lua" / "mtev" / "absent.lua").read_text()))
"""Names that are there to say that there is no such thing."""

ELSEWHERE = {"mtev.cluster.", "mtev.websocket.", "mtev.zipkin_span.", "mtev.consul.handle."}
"""Objects that take other nodes or clients to be had; their tests are their own."""


def test_every_function_is_annotated_and_nothing_else(luamtev: Callable[..., Any], web: Web) -> None:
    done = luamtev("main.lua", source=METHODS + OBJECTS)
    assert (done.returncode, done.stderr) == (0, b"")
    names = set(done.stdout.decode().split()) - {f"mtev.{each}" for each in ABSENT}
    web.start(METHODS + HANDLER)
    form = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n--b--'
    names |= set(web.text("/", "POST", form, Content_Type="multipart/form-data; boundary=b").split())
    wanted = {each for each in annotated() if not any(each.startswith(other) for other in ELSEWHERE)}
    assert {"missing": names - wanted, "invented": wanted - names} == {"missing": set(), "invented": set()}


@pytest.mark.parametrize(
    ("source", "class_name"),
    [
        ("mtev/cluster.lua", "mtev.cluster"),
        ("web_socket.lua", "mtev.websocket"),
        ("mtev/zipkin.lua", "mtev.zipkin_span"),
    ],
)
def test_objects_that_take_others_have_the_methods_of_their_class(source: str, class_name: str) -> None:
    text = (ROOT / "luamtev" / "lua" / source).read_text()
    methods = set(re.findall(r"^function socket_methods:(\w+)|^  (\w+) = function", text, re.MULTILINE))
    names = {first or second for first, second in methods}
    assert names == {each.rsplit(".", 1)[1] for each in annotated() if each.rsplit(".", 1)[0] == class_name}


def test_parameters_are_those_of_the_reference() -> None:
    told = defaultdict(set)
    for page in (ROOT / "docs" / "reference" / "lua").glob("*.md"):
        for heading in re.findall(r"^## .*", page.read_text(), re.MULTILINE):
            for name, params in HEADING.findall(heading):
                bare = re.sub(r"=[^,\]]*|[\[\] ]", "", params).replace("…", "...")
                told[f"mtev.{name}"].add(re.sub(r"\bfunction\b", "function_name", bare))
    known = {name: params.replace(" ", "") for name, params in annotated().items()}
    differing = {name: (known[name], told[name]) for name in told if name in known and known[name] not in told[name]}
    assert differing == {}


def test_annotations_are_lua_that_only_an_editor_reads() -> None:
    for file in LIBRARY.glob("*.lua"):
        assert file.read_text().startswith("---@meta\n"), file
        subprocess.run(["luajit", "-bl", str(file)], stdout=subprocess.DEVNULL, check=True)


def test_parameters_that_are_annotated_are_parameters() -> None:
    wrong = defaultdict(list)
    block = re.compile(r"(?P<doc>(?:^---.*\n)+)function [\w.:]+\((?P<params>.*)\) end$", re.MULTILINE)
    for file in LIBRARY.glob("*.lua"):
        for match in block.finditer(file.read_text()):
            told = [each.rstrip("?") for each in re.findall(r"^---@param (\S+)", match["doc"], re.MULTILINE)]
            if told != [each for each in match["params"].split(", ") if each]:
                wrong[file.name].append(match["params"])
    assert wrong == {}
