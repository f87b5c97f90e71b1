"""What cannot be started: a line that names the culprit, its file and line, and what is right; and --check agrees."""

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from certificates import Authority

PROGRAM = Path(__file__).parents[1] / "startingprogram.py"
MAIN = 'module(..., package.seeall)\nfunction main() print("ran") os.exit(0) end\nfunction handler() end\n'
GENERAL = "<config><lua_module>main.lua</lua_module><lua_function>main</lua_function></config>"


@dataclass(frozen=True)
class Wrong:
    """What is wrong; ``says``, patterns that the one line has in this order; ``line`` of c.xml that it names, 0 for
    none; ``status`` of the start."""

    name: str
    says: tuple[str, ...]
    arguments: tuple[str, ...] = ("-c", "c.xml")
    files: dict[str, str | bytes] = field(default_factory=dict)
    line: int = 0
    status: int = 2


def given(name: str, arguments: str, *says: str, status: int = 2, **more: str | bytes) -> Wrong:
    """A command line."""
    files = {each.replace("_", "."): text for each, text in more.items()}
    return Wrong(name, says, tuple(arguments.split(" ")), files, status=status)


def text(name: str, whole: str | bytes, line: int, *says: str, status: int = 2, **more: str) -> Wrong:
    """A configuration as a whole."""
    files = {"c.xml": whole, **{key.replace("_", "."): text for key, text in more.items()}}
    return Wrong(name, says, files=files, line=line, status=status)


def part(name: str, body: str, line: int, *says: str, general: str = GENERAL, status: int = 2, **more: str) -> Wrong:
    """Part of a configuration, from its line 2 on."""
    module = f"<modules>\n<generic image='lua_mtev' name='lua_general'>\n{general}\n</generic></modules>"
    whole = f"<cli>\n{body}\n{module}</cli>"
    return text(name, whole, line, *says, status=status, **more)


def key(name: str, value: str, *says: str) -> Wrong:
    """A key of <eventer>."""
    return part(f"eventer {name}", f"<eventer><config>\n<{name}>{value}</{name}>\n</config></eventer>", 3, name, *says)


def listener(name: str, attributes: str, line: int, *says: str, inside: str = "") -> Wrong:
    body = f'<listeners>\n<listener address="127.0.0.1" {attributes}>{inside}</listener></listeners>'
    return part(f"listener {name}", body, line, "<listener>", *says)


def http(name: str, attributes: str, line: int, *says: str, inside: str = "") -> Wrong:
    return listener(name, f'type="http_rest_api" port="0" {attributes}', line, *says, inside=inside)


def tls(name: str, keys: str, line: int, *says: str) -> Wrong:
    return http(f"tls {name}", 'ssl="on"', line, *says, inside=f"<sslconfig>\n{keys}\n</sslconfig>")


def web(name: str, keys: str, *says: str) -> Wrong:
    body = f"<modules>\n<generic image='lua_mtev' name='lua_web'><config>\n{keys}\n</config></generic></modules>"
    return part(f"web {name}", body, 4, *says)


def general(name: str, value: str, *says: str, status: int = 2) -> Wrong:
    keys = f"{GENERAL.removesuffix('</config>')}\n<{name}>{value}</{name}></config>"
    return part(f"lua_general {name}", "", 6, name, *says, general=keys, status=status)


def log(name: str, element: str, *says: str) -> Wrong:
    return part(f"log {name}", f"<logs>\n{element}\n</logs>", 3, *says)


def acl(name: str, attributes: str, *says: str) -> Wrong:
    return part(f"acl {name}", f'<rest><acl type="deny">\n<rule {attributes}/></acl></rest>', 3, "<rule>", *says)


def module(name: str, source: str, *says: str, tag: str = "generic") -> Wrong:
    body = f'<modules directory=".">\n<{tag} image="own" name="M"/></modules>'
    return part(f"module {name}", body, 3, *says, own_py=source)


PAIR = "<certificate_file>a.pem</certificate_file><key_file>a.key</key_file>"

CASES = [
    given("an unknown option", "-x main.lua", "there is no option -x", "--help"),
    given("an option without its value", "-l", "-l needs a NAME", "--help"),
    given("a value for an option that takes none", "--check=1 main.lua", "--check takes no value"),
    given("an option that could be several", "--co c.xml main.lua", "--co could be several"),
    given("a number of threads", "-n 1.5 main.lua", "-n", "'1.5'", "between 0 and 1024"),
    given("too many threads", "-n 1025 main.lua", "'1025'", "between 0 and 1024"),
    given("another shell", "--completion csh", "csh", "bash, zsh, fish"),
    given("no file", "-d", "no file given"),
    given("a server of no configuration", "--status", "--status needs", "-c FILE"),
    given("a server without a lock file", "--stop -c c.xml", r"c\.xml:1", "lockfile=", c_xml="<cli/>"),
    given("a log that nobody has", "-l nosuchlog main.lua", "-l nosuchlog", "one of debug, error, notice"),
    given("a log by almost its name", "-l noticed main.lua", "-l noticed", "notice"),
    given("a log without a name", "-l  main.lua", "-l : there is no such log"),
    given("no such directory of modules", "-M /nowhere main.lua", "-M /nowhere", "no such directory"),
    given("a file as directory of modules", "-M main.lua main.lua", "-M main.lua", "no such directory"),
    given("no such user", "-u nosuchuser main.lua", "unknown user 'nosuchuser'"),
    given("no such group", "-g nosuchgroup main.lua", "unknown group 'nosuchgroup'"),
    given("no such configuration", "-c none.xml main.lua", "none.xml", "No such file"),
    given("a directory as configuration", "-c . main.lua", "Is a directory"),
    given("no such script", "none.lua", "none.lua cannot be read", "No such file", status=255),
    given("a directory as script", ".", r"\. cannot be read", "Is a directory", status=255),
    text("an empty configuration", "", 1, "empty"),
    text("text as configuration", "hello\n", 1, "'<' not found"),
    text("a tag that is not closed", "<cli>\n<logs>\n</cli>\n", 3, "logs line 2 and cli"),
    text("an attribute twice", '<cli>\n<logs a="1" a="2"/>\n</cli>\n', 2, "Attribute a redefined"),
    text("an entity", "<cli>\n&foo;\n</cli>\n", 2, "'foo' not defined"),
    text("an entity outside", '<!DOCTYPE cli [\n<!ENTITY foo SYSTEM "/etc/hostname">]>\n<cli>&foo;</cli>\n', 2,
         "an entity is '/etc/hostname'", "not read", "<include"),
    text("an entity in itself", '<!DOCTYPE cli [<!ENTITY foo "&foo;">]>\n<cli>&foo;</cli>\n', 1, "contains itself"),
    text("an encoding that nobody knows", '<?xml version="1.0" encoding="nosuch"?>\n<cli/>\n', 1, "encoding: nosuch"),
    text("another encoding", b'<?xml version="1.0" encoding="utf8"?>\n<cli>\n\xe9\xe8</cli>\n', 3, "encoding"),
    text("bytes as configuration", b"\0\1\2", 1, "empty"),
    text("another application's", "<other/>\n", 1, "<other>, expected <cli>"),
    text("nothing to run", "<cli/>\n", 1, "no file given", "neither modules nor listeners"),
    text("no module to run", "<cli><modules>\n<generic image='lua_mtev' name='lua_general'/></modules></cli>", 2,
         "no file given, and lua_general has no lua_module"),
    text("an attribute of the root", "<cli lokfile='x'><listeners><listener type='http_rest_api' port='0'/></listeners>"
         "</cli>", 1, "lokfile, expected lockfile"),
    text("a lock file that cannot be", "<cli lockfile='.'><listeners><listener type='http_rest_api' port='0'/>"
         "</listeners></cli>", 1, r"lockfile \.: cannot be opened"),
    part("an include of nothing", '<include file="none.xml"/>', 2, "cannot include none.xml: No such file"),
    part("an include of itself", '<include file="c.xml"/>', 2, "include cycle: c.xml -> c.xml"),
    part("an include without a file", '<include snippet="true"/>', 2, "<include>", "attribute file"),
    part("an include with another attribute", '<include file="a.xml" snipet="on"/>', 2, "snipet, expected snippet",
         a_xml="<a/>"),
    part("an include with a bad value", '<include file="a.xml" ro="perhaps"/>', 2, "ro='perhaps'", "true, on, yes",
         a_xml="<a/>"),
    part("an expression of the environment", '<logs require_env="=x"><log name="a"/></logs>', 2,
         "require_env='=x'", "VAR, VAR=value or VAR~regex"),
    part("an inherit of nothing", '<logs><log name="a"><config inherit="none"/></log></logs>', 2, 'inherit="none"',
         'no <config id="none">'),
    part("a store without a name", '<a backingstore=""/>', 2, "backingstore", "name of a directory"),
    part("a misspelt element of the root", '<listenres>\n<listener type="http_rest_api" port="0"/></listenres>', 2,
         "<listenres>, expected <listeners>"),
    part("another", "<evnter><config><concurrency>2</concurrency></config></evnter>", 2, "expected <eventer>"),
    log("attribute", '<log name="a" paht="x"/>', "paht, expected path"),
    log("element", '<lgo name="a"/>', "<lgo>, expected <log>"),
    log("without a name", '<log type="file" path="x"/>', "<log> needs a name"),
    log("outlet", '<log name="a"><outlet name="nobody"/></log>', "outlet 'nobody' is no log", "debug, error, notice"),
    log("outlet without a name", '<log name="a"><outlet/></log>', "<outlet> needs a name"),
    log("filter", '<log name="a"><outlet name="stderr" filter="["/></log>', "<outlet> filter, character 1: expected"),
    log("cycle", '<log name="a"><outlet name="b"/></log><log name="b"><outlet name="a"/></log>', "b -> a -> b"),
    log("type", '<log name="a" type="fille" path="x"/>', "unknown type 'fille'", "file, file_synch, jlog, memory"),
    log("without a path", '<log name="a" type="file"/>', "'a'", "needs .* path"),
    log("path of a file", '<log name="a" type="file" path="none/x"/>', "'none/x': No such file", "none does not exist"),
    log("directory as a file", '<log name="a" type="file" path="."/>', r"'\.': Is a directory"),
    log("path of a memory", '<log name="a" type="memory" path="many"/>', "'lines,bytes'", "'many'"),
    log("file as a jlog", '<log name="a" type="jlog" path="main.lua"/>', "jlog main.lua"),
    log("format", '<log name="a" type="file" path="x" format="jsn"/>', "format 'jsn'", "flatbuffer, json, plain"),
    log("switch", '<log name="a" disabled="perhaps"/>', "disabled='perhaps'", "true, on, yes, false, off or no"),
    log("seconds", '<log name="a" dedup_seconds="x"/>', "dedup_seconds='x'", "seconds"),
    log("limit", '<log name="a" type="file" path="x" rotate_bytes="-1"/>', "rotate_bytes='-1'", "whole number"),
    key("concurrency", "many", "'many'", "number of threads"),
    key("concurency", "2", "expected concurrency"),
    key("rlim_nofiles", "12", "'12'", "at least 256"),
    key("turn_budget", "-1", "'-1'", "milliseconds above 0"),
    key("show_loop_callbacks_threshold", "x", "'x'", "milliseconds"),
    key("default_jobq_ordering", "lefo", "'lefo'", "lifo or fifo"),
    key("default_ca_chain", "none.pem", "none.pem", "No such file"),
    key("shutdown_timeout", "-1", "'-1'", "seconds"),
    key("loop_a", "x", "'x'", "number of threads"),
    key("jobq_a", "1,5,2", "'1,5,2'", "minimum above its maximum"),
    part("eventer implementation", '<eventer implementation="epol"/>', 2, "'epol'", "epoll, kqueue or ports"),
    part("eventer attribute", '<eventer implementatoin="x"/>', 2, "implementatoin, expected implementation"),
    part("eventer element", "<eventer>\n<confg/></eventer>", 3, "confg, expected config"),
    listener("without a type", 'port="0"', 3, "expected a type", "http_rest_api"),
    listener("type", 'type="http_rest" port="0"', 3, "no type 'http_rest'", "http_rest_api"),
    part("listener without a port", '<listeners>\n<listener type="http_rest_api"/></listeners>', 3, "expected a port"),
    part("listener port", '<listeners>\n<listener type="http_rest_api" port="70000"/></listeners>', 3, "port='70000'",
         "0 to 65535"),
    part("listener port's name", '<listeners>\n<listener type="http_rest_api" port="http"/></listeners>', 3,
         "port='http'", "integer"),
    part("listener address", '<listeners>\n<listener type="http_rest_api" address="a.test" port="0"/></listeners>', 3,
         "'a.test'", "IPv4 or IPv6 address"),
    part("listener address of others", '<listeners>\n<listener type="http_rest_api" address="192.0.2.1" port="0"/>'
         "</listeners>", 3, "192.0.2.1:0", "assign"),
    part("listener port taken", '<listeners>\n<listener type="http_rest_api" address="127.0.0.1" port="TAKEN"/>'
         "</listeners>", 3, "127.0.0.1:TAKEN", "in use"),
    http("attribute", 'fanuot="on"', 3, "fanuot, expected fanout"),
    part("listener switch", '<listeners>\n<listener type="http_rest_api" port="0" fanout="x"/></listeners>', 3,
        "fanout='x'", "true, on, yes"),
    part("listener backlog", '<listeners>\n<listener type="http_rest_api" port="0" backlog="0"/></listeners>', 3,
         "backlog='0'", "1 to 65535"),
    http("pool", 'fanout="on" fanout_pool="none"', 3, "fanout_pool='none'", "default"),
    http("directory", "", 4, "document_root", "'none'",
         inside="<config>\n<document_root>none</document_root></config>"),
    http("absolute directory", "", 4, "document_root", "'/nowhere/www'",
         inside="<config>\n<document_root>/nowhere/www</document_root></config>"),
    http("directory that is a file", "", 4, "document_root", "'main.lua'",
         inside="<config>\n<document_root>main.lua</document_root></config>"),
    part("listener's directory", '<listeners>\n<listener type="http_rest_api" address="/nowhere/sock"/></listeners>', 3,
         "/nowhere/sock: No such file"),
    http("key", "", 4, "document_rot, expected document_root",
         inside="<config>\n<document_rot>.</document_rot></config>"),
    http("limit", "", 4, "max_header 'x'", "integer", inside="<config>\n<max_header>x</max_header></config>"),
    listener("protocol of a console", 'type="mtev_console" port="0"', 4, "line_protocol", "telnet or none, not 'ssh'",
             inside="<config>\n<line_protocol>ssh</line_protocol></config>"),
    http("without a certificate", 'ssl="on"', 3, "expected a certificate_file"),
    tls("certificate", "<certificate_file>none.pem</certificate_file>", 4, "certificate_file none.pem: No such file"),
    tls("certificate that is none", "<certificate_file>main.lua</certificate_file>\n<key_file>a.key</key_file>", 4,
        "certificate_file main.lua: expected a certificate in PEM"),
    tls("without a key", "<certificate_file>a.pem</certificate_file>", 4, "expected a key_file"),
    tls("key", "<certificate_file>a.pem</certificate_file>\n<key_file>none.key</key_file>", 5,
        "key_file none.key: No such file"),
    tls("key that is none", "<certificate_file>a.pem</certificate_file>\n<key_file>main.lua</key_file>", 5,
        "key_file main.lua: expected a private key in PEM"),
    tls("key of another", "<certificate_file>a.pem</certificate_file>\n<key_file>b.key</key_file>", 5,
        "key_file b.key: it is not the key of .* a.pem"),
    tls("authorities", f"{PAIR}\n<ca_chain>none.pem</ca_chain>", 5, "ca_chain none.pem: No such file"),
    tls("authorities that are none", f"{PAIR}\n<ca_chain>main.lua</ca_chain>", 5, "ca_chain main.lua: expected cert"),
    tls("revocations", f"{PAIR}\n<crl>main.lua</crl>", 5, "crl main.lua: expected a revocation list"),
    tls("key given as text", "<certificate_file>a.pem</certificate_file>\n<key>no\nPEM</key>", 5,
        r"key \(given as text\): expected a private key"),
    tls("authorities to be told", f"{PAIR}\n<ca_accept>none.pem</ca_accept>", 5, "ca_accept none.pem: No such file"),
    tls("dates", f"{PAIR}\n<ignore_dates>perhaps</ignore_dates>", 5, "ignore_dates: expected true"),
    tls("layer", f"{PAIR}\n<layer>tlsv9</layer>", 5, "layer 'tlsv9': expected tlsv1,"),
    tls("ciphers", f"{PAIR}\n<ciphers>NONE</ciphers>", 5, "ciphers: 'NONE' selects no ciphers"),
    tls("protocol", f"{PAIR}\n<npn>h9</npn>", 5, "npn: expected h2 or none, not 'h9'"),
    part("acl type", '<rest>\n<acl type="alow"/></rest>', 3, "<acl> type='alow': expected allow or deny"),
    part("acl element", '<rest><acl type="deny">\n<rul type="allow"/></acl></rest>', 3, "<rul>, expected <rule>"),
    part("acl's rule", '<rest><acl type="deny">\n<rule type="yes"/></acl></rest>', 3, "type='yes': expected allow or"),
    part("acl's expression", '<rest><acl type="deny">\n<rule type="allow" url="["/></acl></rest>', 3, r"url='\['",
         "missing terminating ]"),
    part("acl's network", '<rest><acl type="deny">\n<rule type="allow" ip="1.2"/></acl></rest>', 3, "ip='1.2'",
         "10.0.0.0/8"),
    part("acl's way on", '<rest><acl type="deny">\n<rule skipto="x"/></acl></rest>', 3, "skipto='x'", "later rule"),
    acl("attribute", 'type="allow" urll="x"', "urll, expected url"),
    part("a module that nobody has", '<modules>\n<generic image="none" name="n"/></modules>', 3,
         "module n in image none", "lua_mtev"),
    part("a module of an image", '<modules>\n<generic image="lua_mtev" name="lua_webb"/></modules>', 3, "lua_webb",
         "lua_general, lua_web"),
    part("a module without an image", '<modules>\n<generic name="lua_web"/></modules>', 3, "needs an image"),
    part("a misspelt module", '<modules>\n<genric image="lua_mtev" name="lua_web"/></modules>', 3,
         "expected <generic>"),
    part("a loader that nobody has", '<modules>\n<generic image="x" name="y" loader="perl"/></modules>', 3,
         "no loader 'perl'", "C, lua"),
    module("without a method", "class M:\n  def configure(self, c): pass\n", "M", "it has no init"),
    module("without the name", "class N: pass\n", "no module M", "own.py"),
    module("that does not compile", "class M\n", "M", "own.py, line 1"),
    module("that fails", "class M:\n  def init(self): pass\n  def configure(self, c): 1 / 0\n", "M",
           r"ZeroDivisionError: division by zero \(.*own.py:3\)"),
    module("that is no loader", "class M:\n  def configure(self, c): pass\n", "is no loader: it has no load",
           tag="loader"),
    part("a key of a module", '<modules>\n<generic image="fq" name="fq"><config>\n<pol_limit/></config></generic>'
         "</modules>", 4, "pol_limit, expected poll_limit"),
    web("mount", "<mount_a>main:GET</mount_a>", "mount_a", "module:METHOD:/base/"),
    web("method", "<mount_a>main:GTE:/a/</mount_a>", "mount_a", "GTE, expected GET"),
    web("method in small letters", "<mount_a>main:get:/a/</mount_a>", "mount_a", "get, expected GET"),
    web("expression", "<mount_a>main:GET:/a/:[</mount_a>", "mount_a", r"'\['", "missing terminating ]"),
    web("base", "<mount_a>main:GET:a/</mount_a>", "mount_a", "begins with a slash, not 'a/'"),
    web("pool", "<mount_a>main:GET:/a/</mount_a><loop_assign_a>none</loop_assign_a>", "loop_assign_a", "'none'",
        "default"),
    web("pool of no mount", "<loop_assign_b>default</loop_assign_b>", "loop_assign_b: there is no mount_b"),
    web("switch", "<mount_a>main:GET:/a/</mount_a><public_a>x</public_a>", "public_a 'x'", "true, on, yes"),
    web("engine", "<engine>ruby</engine>", "'ruby' is neither lua nor python"),
    web("key", "<mout_a>main:GET:/a/</mout_a>", "mout_a, expected mount_"),
    part("web mount twice", "<modules>\n<generic image='lua_mtev' name='lua_web'><config>\n<mount_a>main:GET:/a/"
         "</mount_a>\n<mount_b>main:GET:/a/</mount_b></config></generic></modules>", 5,
         "mount_b: mount_a serves GET /a/"),
    general("gc_full", "often", "'often'", "whole number of 0 or more"),
    general("interrupt_time", "0", "'0'", "seconds above 0"),
    general("concurrent", "x", "true, on, yes"),
    general("lua_functon", "x", "expected lua_function"),
    part("no function", "", 4, "lua_function is required",
         general="<config><lua_module>main.lua</lua_module></config>"),
    part("cluster attribute", '<clusters>\n<cluster name="a" key="k" prt="1"/></clusters>', 3, "prt, expected port"),
    part("cluster id", '<clusters my_id="x"/>', 2, "my_id: 'x' is no UUID"),
    part("watchdog attribute", '<watchdog retrys="3"/>', 2, "retrys, expected retries"),
    part("application attribute", '<managed>\n<application exce="/bin/true"/></managed>', 3, "exce, expected exec"),
    part("ops key", "<ops><config>\n<pgae>off</pgae></config></ops>", 3, "pgae, expected page"),
    part("ops switch", "<ops><config>\n<page>x</page></config></ops>", 3, "page='x'", "true, on, yes"),
]  # fmt: skip

ONLY_WHEN_RUN = [
    part("no such module", "", 5, "lua_module: module 'none' not found", "./none.lua", status=255,
         general=GENERAL.replace("main.lua", "none")),
    part("no such function", "", 5, "lua_function: module 'main.lua' has no function 'mian'", status=255,
         general=GENERAL.replace(">main<", ">mian<")),
    general("preloads", "none", "module 'none' not found", "./none.lua", status=255),
    general("Cpreloads", "none", "no C module 'none'", "./none.so", status=255),
    given("a script that does not compile", "bad.lua", r"bad\.lua:2: '\)' expected", status=255,
          bad_lua="module(..., package.seeall)\nfunction main( print(1) end\n"),
    given("a function that is not there", "-e mian main.lua", r"main\.lua' has no function 'mian'", status=255),
    given("a module that is not there", "bad.lua", r"bad\.lua:1: module 'no.such' not found:", "./no/such.lua",
          status=255, bad_lua="require 'no.such'\n"),
    given("a format of a log line", "bad.lua", r"bad\.lua:1:", "bad argument #3 to 'log'",
          "number expected, got string", status=255, bad_lua="function main() mtev.log('error', '%d\\n', 'x') end"),
    given("a log that is none", "bad.lua", r"bad\.lua:1:", "bad argument #1 to 'log'", "name expected, got table",
          status=255, bad_lua="function main() mtev.log({}, 'x') end"),
]  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[int, str, str]]]:
    """What became of all of them, by name and what was done."""
    top = tmp_path_factory.mktemp("starts")
    pairs = {name: Authority(top / name).issue(name) for name in ("a", "b") if not (top / name).mkdir()}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        jobs: list[tuple[str, list[str]]] = []
        names: list[str] = []
        every = {
            **{each.name: (each, ("start", "check")) for each in CASES},
            **{f"{each.name} ": (each, ("start",)) for each in ONLY_WHEN_RUN},
            **{f"{each.name}  ": (each, ("check",)) for each in ONLY_WHEN_CHECKED},
        }
        for number, (each, ways) in enumerate(every.values()):
            directory = top / str(number)
            directory.mkdir()
            (directory / "main.lua").write_text(MAIN)
            for name, pair in pairs.items():
                shutil.copy(pair.certificate, directory / f"{name}.pem")
                shutil.copy(pair.key, directory / f"{name}.key")
            for name, content in each.files.items():
                data = content if isinstance(content, bytes) else content.encode()
                (directory / name).write_bytes(data.replace(b"TAKEN", str(taken.getsockname()[1]).encode()))
            for way in ways:
                jobs.append((str(directory), [*(["--check"] if way == "check" else []), *each.arguments]))
                names.append(f"{each.name}: {way}")
        done = subprocess.run(
            [sys.executable, str(PROGRAM)], input=json.dumps(jobs), capture_output=True, text=True, check=True
        )
        port = str(taken.getsockname()[1])
    results = [(status, out, errors.replace(port, "TAKEN")) for status, out, errors in json.loads(done.stdout)]
    yield dict(zip(names, results, strict=True))


def the_line(wrong: Wrong, errors: str) -> str:
    """The line that has all that *wrong* says."""
    place = rf"c\.xml:{wrong.line}: " if wrong.line else ""
    pattern = re.compile("(?:luamtev|lua error|lua_general): .*" + place + ".*" + ".*".join(wrong.says))
    found = [each for each in errors.splitlines() if pattern.match(each)]
    assert len(found) == 1, f"{wrong.name}: {pattern.pattern}\n{errors}"
    return found[0]


@pytest.mark.parametrize("wrong", CASES, ids=lambda each: each.name)
def test_a_start_is_refused_in_one_line(wrong: Wrong, ran: dict[str, tuple[int, str, str]]) -> None:
    status, out, errors = ran[f"{wrong.name}: start"]
    assert (status, out) == (wrong.status, ""), errors
    the_line(wrong, errors)
    assert len(errors.splitlines()) == 1, errors


@pytest.mark.parametrize("wrong", CASES, ids=lambda each: each.name)
def test_a_check_says_what_the_start_says(wrong: Wrong, ran: dict[str, tuple[int, str, str]]) -> None:
    status, out, errors = ran[f"{wrong.name}: check"]
    assert (status, out) == (2, ""), errors
    the_line(wrong, errors)


ONLY_WHEN_CHECKED = [
    part("directory of modules", '<modules directory="/nowhere"/>', 2, "there is no directory '/nowhere'"),
    listener("history of a console", 'type="mtev_console" port="0"', 4, "history_file", "'/nowhere'",
             inside="<config>\n<history_file>/nowhere/lines</history_file></config>"),
    part("watchdog's traces", '<watchdog tracedir="main.lua"/>', 2, "tracedir='main.lua'", "File exists"),
    part("application's directory", '<managed>\n<application exec="sh" dir="/nowhere"/></managed>', 3,
         "dir='/nowhere'", "no such directory"),
    part("no such module", "", 5, "lua_module: there is no module 'none'", "./none.lua",
         general=GENERAL.replace("main.lua", "none")),
    part("a module that does not compile", "", 5, r"lua_module: bad\.lua:1: unexpected symbol",
         general=GENERAL.replace("main.lua", "bad.lua"), bad_lua="="),
    general("preloads", "none", "there is no module 'none'", "./none.lua"),
    general("Cpreloads", "none", "there is no module 'none'", "./none.so"),
    web("module", "<mount_a>none:GET:/a/</mount_a>", "mount_a: there is no module 'none'", "./none.lua"),
    part("a mount that does not compile", "<modules>\n<generic image='lua_mtev' name='lua_web'><config>\n"
         "<mount_a>bad:GET:/a/</mount_a></config></generic></modules>", 4, r"mount_a: \./bad\.lua:1:", bad_lua="="),
    part("watchdog", '<watchdog retries="x"/>', 2, "retries='x'", "integer"),
    part("watchdog's glider", '<watchdog glider="none"/>', 2, "glider='none'", "no such program"),
    part("application", "<managed>\n<application/></managed>", 3, "expected an exec"),
    part("application's program", '<managed>\n<application exec="/none"/></managed>', 3,
         "exec='/none'", "no such program"),
    part("application's user", '<managed>\n<application exec="sh" user="nobody3"/></managed>', 3, "user 'nobody3'"),
    part("application's log", '<managed>\n<application exec="sh" stdout="none"/></managed>', 3, "stdout='none'",
         "one of debug, error, notice"),
    part("cluster without a key", '<clusters>\n<cluster name="a" seq="1" port="1"/></clusters>', 3, "has no key"),
]  # fmt: skip
"""What a start does without: it says so when it comes to that."""


@pytest.mark.parametrize("wrong", ONLY_WHEN_CHECKED, ids=lambda each: each.name)
def test_a_check_finds_what_a_start_comes_to_later(wrong: Wrong, ran: dict[str, tuple[int, str, str]]) -> None:
    status, out, errors = ran[f"{wrong.name}: check"]
    assert (status, out) == (2, ""), errors
    the_line(wrong, errors)


@pytest.mark.parametrize("wrong", ONLY_WHEN_RUN, ids=lambda each: each.name)
def test_what_only_lua_finds_is_in_one_line_too(wrong: Wrong, ran: dict[str, tuple[int, str, str]]) -> None:
    status, out, errors = ran[f"{wrong.name}: start"]
    assert (status, out) == (wrong.status, "")
    the_line(wrong, errors)


def test_a_start_tells_of_directories_that_it_does_without(tmp_path: Path) -> None:
    (tmp_path / "main.lua").write_text(MAIN)
    (tmp_path / "c.xml").write_text(
        f"""<cli>
        <modules directory="/nowhere/modules"><generic image='lua_mtev' name='lua_general'>{GENERAL}</generic></modules>
        <listeners><listener type="mtev_console" address="127.0.0.1" port="0"><config>
        <history_file>/nowhere/lines</history_file></config></listener></listeners></cli>"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "luamtev", "-c", "c.xml"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "c.xml:2: <modules> directory: there is no directory '/nowhere/modules'" in done.stderr
    assert "c.xml:4: <listener>: history_file: there is no directory '/nowhere'" in done.stderr
