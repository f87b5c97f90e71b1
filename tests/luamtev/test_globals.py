"""The library does not depend on what programs do to the globals of Lua: it took what it needs when it was loaded."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lupa import luajit21
from webprogram import Web

import luamtev

LIBRARY = Path(luamtev.__file__).parent / "lua"
OF_THE_API = {"mtev", "_G", "ENV"}  # what is the program's to change
OF_TOOLS = {"require", "loadfile", "print"}  # what tools put themselves in the place of: coverage, loaders, the console

FINDER = r"""
local util, band, rshift = require("jit.util"), bit.band, bit.rshift
local GGET = band(util.funcbc(loadstring("return some"), 1), 255)
return function(source)
  local found = {}
  local function walk(proto, is_inner)
    local info = util.funcinfo(proto)
    for at = 1, is_inner and info.bytecodes - 1 or 0 do
      local code = util.funcbc(proto, at)
      if band(code, 255) == GGET then
        local line = util.funcinfo(proto, at).currentline
        found[#found + 1] = line .. " " .. util.funck(proto, -rshift(code, 16) - 1)
      end
    end
    for at = 1, info.gcconsts do
      local constant = util.funck(proto, -at)
      if type(constant) == "proto" then walk(constant, true) end
    end
  end
  walk(assert(loadstring(source)), false)
  return table.concat(found, "\n")
end
"""
METHOD = re.compile(
    rb"^(?!\s*--).*?[\w)\]]:(byte|char|find|format|gmatch|gsub|len|lower|match|rep|reverse|sub|upper)\("
)


def test_no_function_of_the_library_reads_a_global() -> None:
    find = luajit21.LuaRuntime(encoding=None, register_eval=False).execute(FINDER.encode())
    assert find(b"local function f() return type(1) end").split() == [b"1", b"type"]
    files = sorted(LIBRARY.rglob("*.lua"))
    assert len(files) > 80
    found = []
    for path in files:
        for line in find(path.read_bytes()).decode().splitlines():
            if line.split()[1] not in OF_THE_API | OF_TOOLS:
                found.append(f"{path.relative_to(LIBRARY)}:{line}")
    assert found == []


def test_no_function_of_the_library_calls_methods_of_strings() -> None:
    found = []
    for path in sorted(LIBRARY.rglob("*.lua")):
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if METHOD.match(line):
                found.append(f"{path.relative_to(LIBRARY)}:{number}")
    assert found == []


SPOIL = r"""
local kept = { mtev = true, _G = true, ENV = true, arg = true, require = true, module = true, _M = true }
local error, type, pairs = error, type, pairs
local libraries = { string = 1, table = 1, math = 1, os = 1, io = 1, debug = 1, coroutine = 1, bit = 1 }
local function spoil(holder, name)
  holder[name] = function() error("a global is used: " .. name, 2) end
end
for name, value in pairs(_G) do
  if not kept[name] then
    if type(value) == "function" then spoil(_G, name) end
    if libraries[name] then
      for field, inner in pairs(value) do
        if type(inner) == "function" then spoil(value, field) end
      end
      _G[name] = 5
    end
  end
end
"""

PROGRAM = r"""
local exit, write, pcall, tostring, select, floor = os.exit, io.write, pcall, tostring, select, math.floor
local pairs, unpack = pairs, unpack
local failures = 0

local function try(name, f)
  local ok, why = pcall(f)
  if ok then return end
  failures = failures + 1
  write(name, ": ", tostring(why), "\n")
end

local function server()
  local listening = mtev.socket("inet")
  listening:setsockopt("SO_REUSEADDR", 1)
  listening:bind("127.0.0.1", 0)
  listening:listen(5)
  local _, port = listening:sock_name()
  mtev.coroutine_spawn(function()
    listening = listening:own()
    while true do
      local client = listening:accept()
      mtev.coroutine_spawn(function()
        client = client:own()
        local head = client:read("\r\n\r\n")
        client:write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: a=b; Path=/\r\n"
          .. "Transfer-Encoding: chunked\r\n\r\n9\r\n{\"a\": [1]\r\n1\r\n}\r\n0\r\n\r\n")
        client:close()
      end)
    end
  end)
  return floor(port)
end

function main()
  SPOIL
  try("coroutines", function()
    mtev.coroutine_spawn(function() mtev.sleep(0.001) mtev.notify("k", 1, nil, 3) end)
    mtev.waitfor("k", 5)
    mtev.waitfor("none", 0.001)
    local s = mtev.semaphore("s", 1)
    s:acquire() s:release() s:try_acquire() tostring(s)
    mtev.shared_set("k", { a = { 1, "x", true } }) mtev.shared_get("k") mtev.shared_seq("q")
    mtev.shared_notify("w", { 1 }) mtev.shared_waitfor("w", 1)
    mtev.thread_self() mtev.eventer_loop_concurrency() mtev.gettimeofday() mtev.time()
    local t = mtev.timeval.now()
    tostring(t + mtev.timeval.new(1.5)) t:seconds() local _ = t == t, t < t, t <= t, t - t
  end)
  try("http", function()
    local port = server()
    local api = mtev.Api:http("127.0.0.1", port)
    local found = api:post("/a/b?c=d", { x = 1 }, { ["X-A"] = "b" })
    found:check() found:json() found:text() found:rc() local _ = found.headers["content-type"]
    local client = mtev.HttpClient:new({ headers = function() end, consume = function() end })
    client:connect("127.0.0.1", port) client:do_request("GET", "/", { Host = "h" }) client:get_response(100000)
    client:auth_digest("GET", "/", "u", "p", 'Digest realm="r", nonce="n", qop="auth"')
    client:close()
    mtev.Api:http("127.0.0.1", 1):get("/"):rc()
  end)
  try("sockets", function()
    local s = mtev.socket("inet", "udp")
    s:bind("127.0.0.1", 0)
    local ip, port = s:sock_name()
    s:sendto("x", "127.0.0.1", port) s:recv(10) s:setsockopt("SO_RCVBUF", 10000) s:setsockopt("nope", 1)
    s:close() pcall(s.recv, s, 10)
    mtev.socket("inet6") mtev.socket("unix") pcall(mtev.socket, "nonsense") mtev.inet_pton("::1") mtev.inet_pton("x")
    mtev.getip_ipv4() mtev.getaddrinfo("127.0.0.1")
    mtev.socket("inet"):connect("127.0.0.1", 1, 0.1) mtev.socket("inet"):connect("no address", 1)
  end)
  try("texts", function()
    mtev.base64_decode(mtev.base64_encode("abc")) mtev.base32_decode(mtev.base32_encode("abc")) mtev.crc32("a")
    mtev.md5_hex("a") mtev.sha1_hex("a") mtev.sha256_hex("a") mtev.hmac_sha1_encode("a", "b")
    mtev.hmac_sha256_encode("a", "b") mtev.utf8tohtml("é<", true) mtev.uuid()
    local match = mtev.pcre("a(b)?(c)")
    match("abc", { limit = 100 }) match(nil) mtev.pcre("(")
    mtev.timezone("Europe/Berlin"):extract(0, "year", "zonename", "dst")
    local json = mtev.parsejson('{"a": [1, "\\u00e9", null, 1e3, 12345678901234567890]}')
    json:document() json:tostring() mtev.tojson({ a = { 1, 2.5, "x\n" } }, 3):tostring() mtev.parsejson("{")
    local doc = mtev.parsexml("<a b='c'>t<d/></a>")
    for node in doc:xpath("//d") do node:name() node:attr("x", "y") node:addchild("e") end
    for child in doc:root():children() do child:contents() end
    doc:tostring() mtev.gunzip()
    local x = mtev.extras
    x.split("a,b", ",") x.iptonumber("1.2.3.4") x.url_encode("a b") x.url_decode("a%20b")
    x.check_host_header_against_certificate("a.b", "/CN=a.b", "a.b")
    mtev.newrsa(512) mtev.rand_bytes(3) mtev.pseudo_rand_bytes(3) pcall(mtev.newreq, "x")
    local n = mtev.bignum_dec2bn("12345678901234567890")
    n:mul(n, n) n:todec() n:add(n, n) n:tohex() n:is_negative() n:num_bits()
  end)
  try("system", function()
    mtev.log("error", "%s %d %5.2f", nil, 3, 1.5) mtev.log("error", "plain") pcall(mtev.log, "error", "%d", "x")
    mtev.log_enabled("debug") mtev.enable_log("debug", false) mtev.print("x", nil, 1)
    mtev.stat("/") mtev.readdir("/", function() return true end) mtev.realpath("/") mtev.getcwd() mtev.uname()
    local fd = mtev.open("file", 66, 420)
    mtev.write(fd, "x") mtev.close(fd) mtev.chmod("file", 420) mtev.unlink("file") mtev.mkdir("d", 493) mtev.rmdir("d")
    mtev.writefile("f2", "x") mtev.readfile("f2") mtev.appendfile("f2", "y") mtev.unlink("f2") mtev.open("/no/file", 0)
    mtev.conf_get_string("/cli/none") mtev.conf_get_integer("//concurrency") mtev.conf_get_string_list("//log", "@name")
    mtev.conf_string("/cli/@x", "y") mtev.conf_replace_string("/cli/@x", "z") mtev.conf_boolean("/cli/@x")
    mtev.hook("nothing") mtev.lockfile_release(mtev.lockfile_acquire("lock")) mtev.watchdog_timeout()
  end)
  try("processes", function()
    mtev.sh("echo a; exit 3") mtev.exec("/bin/echo", { "echo", "x" }, { A = "b" }, 5) mtev.spawn("/nowhere")
    local child = mtev.Proc:new{ path = "/bin/sh", argv = { "sh", "-c", "echo ready >&2; read x" } }
    local watch = child:logwatch("re(a)dy")
    child:start():ready() watch:wait(1) watch:stop() child:pause() child:resume() child:kill(1) child:wait(1)
  end)
  try("the library of C", function()
    local library = ffi.load("mtev")
    local uuid, text = ffi.new("uint8_t[16]"), ffi.new("char[37]")
    library.mtev_uuid_generate(uuid) library.mtev_uuid_unparse_lower(uuid, text)
    library.mtev_uuid_parse(ffi.string(text, 36), uuid)
    library.mtev_b64_encode("abc", 3, text, 37)
  end)
  try("names", function()
    local dns = mtev.dns("127.0.0.1")
    pcall(dns.lookup, dns, "localhost", "A", "IN")
    mtev.websocket_client_connect("127.0.0.1", 1, "/", "", {})
    mtev.reverse_details("127.0.0.1", 1) pcall(mtev.cluster, "none")
  end)
  write(failures, " failures\n")
  exit(0)
end
"""


def test_a_program_may_put_other_things_in_the_place_of_globals(luamtev: Callable[..., Any]) -> None:
    done = luamtev("-l", "notice", "main.lua", source=PROGRAM.replace("SPOIL", SPOIL.replace("\n", "\n  ")))
    assert b"a global is used" not in done.stderr + done.stdout
    assert done.stdout.splitlines()[-1] == b"0 failures", done.stdout


HANDLER = """
local tostring, failing_error = tostring, error
function handler(rest)
  local http = rest:http()
  local request = http:request()
  if request:querystring("fail") then failing_error({ code = 1 }) end
  http:status(200, "OK")
  http:header("X-A", "b")
  http:set_cookie("a", "b", { path = "/" })
  http:option(http.GZIP)
  http:write(request:method() .. request:uri() .. tostring(request:querystring("q")) .. (request:payload() or "")
    .. tostring(request:headers("host") ~= nil) .. tostring(request:cookie("c")) .. tostring(request:form("f")))
  http:write(http:url_encode("a b") .. http:url_decode("a%20b") .. http:htmlentities("<", true))
  mtev.sleep(0.001)
  http:flush_end()
end
"""


@pytest.mark.parametrize("web", ["lua", "python"], indirect=True)
def test_a_handler_may_too(web: Web) -> None:
    web.start(HANDLER + SPOIL)
    form = "application/x-www-form-urlencoded"
    answer = web.ask("/a%20b?q=1", "POST", "f=2", Content_Type=form, Cookie="c=3")
    assert (answer.status, answer.body) == (200, b"POST/a b1f=2true32a%20ba b&lt;")
    assert web.ask("/").body == b"GET/niltruenilnila%20ba b&lt;"
    assert web.ask("/?fail").status == 500
    assert web.ask("/").status == 200
    assert "a global is used" not in web.errors()


CANNOT_LOAD = """
local ffi = require("ffi")
ffi.cdef("typedef struct { int mine; } luamtev_duration;") -- the library's name for something else
function main()
  print(pcall(function() return ffi.load("libmtev").mtev_confstr_parse_duration_ms end))
  mtev.coroutine_spawn(function() print(getfenv(0) == _G, loadstring("return string == _G.string")()) end)
  os.exit(0)
end
"""


def test_a_library_that_cannot_be_loaded_leaves_the_program_its_globals(luamtev: Callable[..., Any]) -> None:
    failure, seen = luamtev("main.lua", source=CANNOT_LOAD).stdout.splitlines()
    assert failure.startswith(b"false\tluamtev/ffi_mtev/confstr.lua:")
    assert seen == b"true\ttrue"


TOOL = """
local shown = require
function _G.require(name)
  local found = shown(name)
  if name == "web" then mtev.log("error", "the tool saw %s\\n", name) end
  return found
end
"""


def test_web_modules_are_required_by_what_a_program_put_in_the_place_of_require(web: Web) -> None:
    mounts = "<preloads>tool</preloads><mount_get>web:GET:/</mount_get>"
    web.start("function handler(rest) rest:http():flush_end() end", web=mounts, tool=TOOL)
    web.ask("/")
    assert web.errors().count("the tool saw web\n") == 1


def test_a_web_module_may_have_the_name_of_a_function_of_lua(web: Web) -> None:
    source = "return { handler = function(rest) rest:http():write('answered') rest:http():flush_end() end }"
    (web.directory / "error.lua").write_text(source)
    web.start("", web="<mount_get>error:GET:/</mount_get>")
    assert web.text("/") == "answered"
