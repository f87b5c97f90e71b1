"""mtev.dns against a name server of our own that truncates, lies, delays and drops."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from launching import free_port

from luamtev.api import dns as our_dns

ZONE = {
    ("one.test.", "A"): ["192.0.2.1"],
    ("two.test.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("six.test.", "AAAA"): ["2001:db8::6"],
    ("text.test.", "TXT"): ['"v=spf1 -all" " and more"'],
    ("odd.test.", "TXT"): ['"back\\\\slash \\195\\169 \\001 \\127 \\"q\\""'],
    ("mail.test.", "MX"): ["10 mx1.test.", "20 mx2.test."],
    ("alias.test.", "CNAME"): ["deeper.test."],
    ("deeper.test.", "CNAME"): ["one.test."],
    ("loop.test.", "CNAME"): ["loop.test."],
    ("1.2.0.192.in-addr.arpa.", "PTR"): ["one.test."],
    ("test.", "NS"): ["ns.test."],
    ("test.", "SOA"): ["ns.test. admin.test. 7 3600 600 86400 60"],
    ("_xmpp._tcp.test.", "SRV"): ["5 6 5222 one.test."],
    ("box.test.", "MB"): ["\\# 10 036f6e65 0474657374 00"],
    ("large.test.", "TXT"): [f'"{i} {"y" * 240}"' for i in range(40)],
}


class Server:
    """A name server; *answer* makes of a query what to send over UDP, nothing to drop it."""

    def __init__(self, address: str, port: int) -> None:
        self.answer: Callable[[dns.message.Message], list[bytes]] = lambda query: [respond(query).to_wire()]
        self.asked: list[tuple[str, str]] = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.port = port
        self.tcp = socket.create_server((address, port), family=family)
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((address, port))
        self.liar = socket.socket(family, socket.SOCK_DGRAM)
        self.truncate_at = 512
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self._serve_udp, self._serve_tcp)]
        for each in self.threads:
            each.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(self.udp.family, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.udp.getsockname())
        socket.create_connection(self.tcp.getsockname()[:2]).close()
        for each in self.threads:
            each.join(10)
        for each in (self.udp, self.tcp, self.liar):
            each.close()

    def _serve_udp(self) -> None:
        while True:
            data, peer = self.udp.recvfrom(65535)
            if not data:
                return
            query = dns.message.from_wire(data)
            self.asked.append((query.question[0].name.to_text(), "udp"))
            for each in self.answer(query):
                if each.startswith(b"LIE"):
                    self.liar.sendto(each[3:], peer)
                else:
                    self.udp.sendto(truncated(query, each, self.truncate_at), peer)

    def _serve_tcp(self) -> None:
        while True:
            peer, _ = self.tcp.accept()
            with peer:
                head = peer.recv(2, socket.MSG_WAITALL)
                if len(head) < 2:
                    return
                query = dns.message.from_wire(peer.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL))
                self.asked.append((query.question[0].name.to_text(), "tcp"))
                wire = respond(query).to_wire()
                for at in range(0, len(wire) + 2, 1000):  # torn
                    peer.sendall((struct.pack("!H", len(wire)) + wire)[at : at + 1000])


def respond(query: dns.message.Message, rcode: int | None = None) -> dns.message.Message:
    response = dns.message.make_response(query)
    question = query.question[0]
    name, kind = question.name, dns.rdatatype.to_text(question.rdtype)
    known = any(name == dns.name.from_text(each) for each, _ in ZONE)
    response.set_rcode(rcode if rcode is not None else dns.rcode.NOERROR if known else dns.rcode.NXDOMAIN)
    for _ in range(4):
        for key in (kind, "CNAME"):
            values = ZONE.get((name.to_text().lower(), key))
            if values and rcode is None:
                response.answer.append(dns.rrset.from_text(name, 300, "IN", key, *values))
                break
        else:
            break
        if key != "CNAME" or kind == "CNAME":
            break
        name = dns.name.from_text(values[0])
    return response


def truncated(query: dns.message.Message, wire: bytes, most: int) -> bytes:
    if len(wire) <= most:
        return wire
    response = dns.message.make_response(query)
    response.flags |= dns.flags.TC
    return response.to_wire()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the system's files anew."""

    def write(resolv: str = "", hosts: str = "") -> None:
        (tmp_path / "resolv.conf").write_text(resolv)
        (tmp_path / "hosts").write_text(hosts)

    monkeypatch.setattr(our_dns, "RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(our_dns, "HOSTS", tmp_path / "hosts")
    return write


@pytest.fixture
def server(files: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The name server of resolv.conf, with a short time limit."""
    with Server("127.0.0.1", free_port()) as made:
        monkeypatch.setattr(our_dns, "PORT", made.port)
        files("nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
        yield made


SHOW = """
    local function show(...)
      for i = 1, select("#", ...) do
        local record, keys = select(i, ...), {}
        for key, value in pairs(record) do keys[#keys + 1] = key .. "=" .. tostring(value) end
        table.sort(keys)
        print(table.concat(keys, " "))
      end
      print(select("#", ...))
    end
"""


def look_up(lua: Any, *arguments: str, nameserver: str = "") -> list[str]:
    """What lookup gives, a line for each record, then their number."""
    before = len(lua.printed()) if lua.printed_path.exists() else 0
    calls = ", ".join(f'"{each}"' for each in arguments)
    lua(SHOW + f"function main() show(mtev.dns({nameserver}):lookup({calls})) os.exit(0) end")
    return str(lua.printed()[before:]).splitlines()


@pytest.mark.parametrize(
    ("arguments", "records"),
    [
        (("one.test",), ["a=192.0.2.1 ttl=300", "1"]),
        (("ONE.Test", "a", "in"), ["a=192.0.2.1 ttl=300", "1"]),
        (("two.test.", "A"), ["a=192.0.2.1 ttl=300", "a=192.0.2.2 ttl=300", "2"]),
        (("six.test", "AAAA"), ["aaaa=2001:db8::6 ttl=300", "1"]),
        (("text.test", "TXT"), ["ttl=300 txt=v=spf1 -all and more", "1"]),
        (("odd.test", "TXT"), ['ttl=300 txt=back\\\\slash \\c3\\a9 \\01 \\7f "q"', "1"]),
        (("mail.test", "MX"), ["mx=mx1.test preference=10 ttl=300", "mx=mx2.test preference=20 ttl=300", "2"]),
        (("alias.test", "CNAME"), ["cname=deeper.test ttl=300", "1"]),
        (("alias.test", "A"), ["a=192.0.2.1 ttl=300", "1"]),
        (("loop.test", "A"), ["0"]),
        (("1.2.0.192.in-addr.arpa", "PTR"), ["ptr=one.test ttl=300", "1"]),
        (("test", "NS"), ["ns=ns.test ttl=300", "1"]),
        (
            ("test", "SOA"),
            ["expire=86400 minimum=60 refresh=3600 retry=600 rname=admin.test serial=7 soa=ns.test ttl=300", "1"],
        ),
        (("_xmpp._tcp.test", "SRV"), ["port=5222 priority=5 srv=one.test ttl=300 weight=6", "1"]),
        (("box.test", "MB"), ["mb=one.test ttl=300", "1"]),
        (("one.test", "AAAA"), ["0"]),
        (("nothing.test",), ["0"]),
        (("a..b",), ["0"]),
        (("x" * 70 + ".test",), ["0"]),
    ],
)
def test_each_type_of_record(lua: Any, server: Server, arguments: tuple[str, ...], records: list[str]) -> None:
    assert sorted(look_up(lua, *arguments)) == sorted(records)  # servers deal records in any order


def test_a_large_answer_comes_over_tcp(lua: Any, server: Server) -> None:
    assert look_up(lua, "large.test", "TXT")[-1] == "40"
    assert server.asked == [("large.test.", "udp"), ("large.test.", "tcp")]


def lies(query: dns.message.Message) -> list[bytes]:
    """Answers to another id, another name, from another port, no answers at all; then the right one."""
    good = respond(query)
    wrong_id = respond(query)
    wrong_id.id ^= 1
    other = dns.message.make_query("other.test", "A", id=query.id)
    wrong_name = dns.message.make_response(other)
    wrong_name.answer.append(dns.rrset.from_text("other.test.", 300, "IN", "A", "203.0.113.66"))
    poison = dns.message.make_response(query)
    poison.answer.append(dns.rrset.from_text("one.test.", 300, "IN", "A", "203.0.113.66"))
    return [
        b"LIE" + poison.to_wire(),
        wrong_id.to_wire(),
        wrong_name.to_wire(),
        query.to_wire(),  # a question is no answer
        b"x",
        good.to_wire()[:20],
        bytes(600),
        good.to_wire(),
    ]


def test_lies_are_not_believed(lua: Any, server: Server) -> None:
    server.answer = lies
    server.truncate_at = 65535
    assert look_up(lua, "one.test") == ["a=192.0.2.1 ttl=300", "1"]


def test_what_is_dropped_is_asked_again(lua: Any, server: Server) -> None:
    server.answer = lambda query: [respond(query).to_wire()] if len(server.asked) > 1 else []
    assert look_up(lua, "one.test") == ["a=192.0.2.1 ttl=300", "1"]
    assert len(server.asked) == 2


def test_there_is_an_end_to_asking(lua: Any, server: Server, files: Callable[..., None]) -> None:
    files("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    server.answer = lambda _query: []
    assert look_up(lua, "one.test") == ["0"]
    assert len(server.asked) == 1


def test_many_names_are_looked_up_at_once_while_answers_are_late(lua: Any, server: Server) -> None:
    late: list[tuple[dns.message.Message, list[bytes]]] = []
    gate = threading.Event()

    def answer(query: dns.message.Message) -> list[bytes]:
        late.append((query, []))
        if len(late) == 50:
            gate.set()
        return []

    server.answer = answer
    lua.start(
        """
        local left, found = 50, 0
        for i = 1, 50 do
          mtev.coroutine_spawn(function()
            local record = mtev.dns():lookup("one.test")
            if record and record.a == "192.0.2.1" then found = found + 1 end
            left = left - 1
            if left == 0 then mtev.notify("all") end
          end)
        end
        function main() mtev.waitfor("all", 20) print(found) os.exit(0) end
        """
    )
    assert gate.wait(10)
    server.answer = lambda query: [respond(query).to_wire()]  # the second round
    assert lua.status() == 0
    assert lua.printed() == "50\n"


def test_servers_are_asked_in_turn(lua: Any, server: Server, files: Callable[..., None]) -> None:
    with ExitStack() as stack:
        second, third = (stack.enter_context(Server(each, server.port)) for each in ("127.0.0.2", "127.0.0.3"))
        server.answer = lambda query: [respond(query, dns.rcode.SERVFAIL).to_wire()]
        second.answer = lambda query: [respond(query, dns.rcode.REFUSED).to_wire()]
        servers = "".join(f"nameserver 127.0.0.{i}\n" for i in (4, 1, 2, 3))  # nobody listens at the first
        files(servers.replace("nameserver 127.0.0.3\n", ""))
        assert look_up(lua, "one.test") == ["0"]
        files("nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\n")
        assert look_up(lua, "one.test") == ["a=192.0.2.1 ttl=300", "1"]
        assert len(third.asked) == 1


def test_a_name_that_does_not_exist_is_asked_for_once(lua: Any, server: Server, files: Callable[..., None]) -> None:
    with Server("127.0.0.2", server.port) as second:
        files("nameserver 127.0.0.1\nnameserver 127.0.0.2\n")
        assert look_up(lua, "nothing.test") == ["0"]
        assert (len(server.asked), len(second.asked)) == (1, 0)


def test_short_names_are_searched(lua: Any, server: Server, files: Callable[..., None]) -> None:
    files("nameserver 127.0.0.1\nsearch elsewhere.example test\noptions ndots:2")
    assert look_up(lua, "one") == ["a=192.0.2.1 ttl=300", "1"]
    assert [name for name, _ in server.asked] == ["one.elsewhere.example.", "one.test."]
    server.asked.clear()
    assert look_up(lua, "one.test")[-1] == "1"
    assert [name for name, _ in server.asked] == ["one.test.elsewhere.example.", "one.test.test.", "one.test."]
    server.asked.clear()
    assert look_up(lua, "one.") == ["0"]
    assert [name for name, _ in server.asked] == ["one."]


def test_a_name_server_of_its_own(lua: Any, server: Server, files: Callable[..., None]) -> None:
    files("nameserver 127.0.0.9\n")
    assert look_up(lua, "one.test", nameserver=f'"127.0.0.1:{server.port}"')[-1] == "1"
    with Server("::1", free_port()) as six:
        assert look_up(lua, "one.test", nameserver=f'"[::1]:{six.port}"')[-1] == "1"


def test_the_environment_says_whom_to_ask(
    lua: Any, server: Server, files: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    files("nameserver 127.0.0.9\noptions timeout:7 attempts:1 port:9\n")
    assert our_dns.settings() | {"servers": ["127.0.0.9"], "timeout": 7, "attempts": 1, "port": 9} == our_dns.settings()
    monkeypatch.setenv("NAMESERVERS", "nonsense 127.0.0.1 ::1")
    monkeypatch.setenv("RES_OPTIONS", f"retrans:3 retry:4 ndots:2 port:{server.port} udpbuf:4096 x:1 timeout:y")
    found = our_dns.settings()
    assert (found["servers"], found["timeout"], found["attempts"], found["ndots"]) == (["127.0.0.1", "::1"], 3, 4, 2)
    assert look_up(lua, "one.test") == ["a=192.0.2.1 ttl=300", "1"]
    monkeypatch.setenv("NSCACHEIP", "127.0.0.8")
    assert our_dns.settings()["servers"] == ["127.0.0.8"]
    assert look_up(lua, "one.test", nameserver='"127.0.0.1"') == ["a=192.0.2.1 ttl=300", "1"]
    monkeypatch.setenv("RES_OPTIONS", "port:0 attempts:0 timeout:99 ndots:99")
    found = our_dns.settings()
    assert (found["port"], found["attempts"], found["timeout"], found["ndots"]) == (1, 1, 30, 30)


def test_bad_arguments_raise(lua: Any, server: Server) -> None:
    printed = lua(
        """
        local function try(f, ...) print((select(2, pcall(f, ...)):gsub("^.-:%d+: ", ""))) end
        function main()
          local dns = mtev.dns()
          try(dns.lookup, dns, "one.test", "NONESUCH")
          try(dns.lookup, dns, "one.test", "A", "XX")
          try(dns.lookup, dns)
          print(select("#", dns:lookup(nil)), (dns:lookup(nil, "A")))
          try(dns.lookup, dns, "one.test", {})
          try(mtev.dns, "name.test")
          try(mtev.dns, "127.0.0.1:99999")
          try(mtev.dns, 5)
          try(function() return dns.nothing end)
          try(dns.lookup, "one.test")
          print(tostring(dns))
          os.exit(0)
        end
        """
    )
    assert printed.splitlines() == [
        "dns: bad rr type",
        "dns: bad rr type",
        "bad argument #1 to 'lookup' (string expected, got nil)",
        "1\tnil",
        "bad argument #2 to 'lookup' (string expected, got table)",
        "bad argument #1 to 'dns' (address of a name server expected, got 'name.test')",
        "bad argument #1 to 'dns' (address of a name server expected, got '127.0.0.1:99999')",
        "bad argument #1 to 'dns' (address of a name server expected, got number)",
        "mtev.dns no such element: nothing",
        "must be called as method",
        "mtev.dns",
    ]


def test_what_an_address_is_both_spellings_tell(lua: Any) -> None:
    printed = lua(
        """
        function main()
          local dns = mtev.dns()
          print(dns.is_valid_ip("192.0.2.1"))
          print(dns:is_valid_ip("192.0.2.1"))
          print(dns:is_valid_ip("2001:db8::1"))
          print(dns.is_valid_ip("one.test"))
          print(dns:is_valid_ip(nil), dns.is_valid_ip())
          os.exit(0)
        end
        """
    )
    inet, inet6 = int(socket.AF_INET), int(socket.AF_INET6)
    assert printed == f"true\t{inet}\ntrue\t{inet}\ntrue\t{inet6}\nfalse\tnil\nfalse\tfalse\tnil\n"


def test_the_api_finds_hosts_by_file_and_by_name_server(
    lua: Any, server: Server, files: Callable[..., None], tmp_path: Path
) -> None:
    ZONE["web.test.", "A"] = ["127.0.0.1"]
    files("nameserver 127.0.0.1\noptions timeout:1 attempts:1", "127.0.0.1 local.web # ours\nbroken\n::1 six.web Six\n")
    with socket.create_server(("127.0.0.1", 0)) as web:

        def serve() -> None:
            for _ in range(2):
                peer, _ = web.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        thread = threading.Thread(target=serve)
        thread.start()
        printed = lua(
            f"""
            function main()
              print(mtev.Api:http("web.test", {web.getsockname()[1]}):get("/"):text())
              print(mtev.Api:http("local.web", {web.getsockname()[1]}):get("/"):text())
              local nowhere = mtev.Api:http("nowhere.test", 80):get("/")
              print(nowhere:rc(), nowhere:text())
              os.exit(0)
            end
            """
        )
        thread.join()
    assert printed == "ok\nok\n-1\tDNS lookup failed\n"
    assert our_dns.hosts(b"six.WEB.") == [b"::1"]
    assert ("local.web.", "udp") not in server.asked


def test_files_that_are_missing_or_broken_are_no_error(files: Callable[..., None], tmp_path: Path) -> None:
    defaults = {"servers": ["127.0.0.1"], "search": [], "ndots": 1, "timeout": 5, "attempts": 2, "port": 53}
    assert our_dns.settings() == defaults
    files("nameserver\nnameserver x\noptions ndots:x timeout:-1 attempts:0 unknown\n;comment\nsearch\n\0\n", "x y\n")
    assert our_dns.settings() == defaults | {"attempts": 1}
    assert our_dns.hosts(b"y") == []
    (tmp_path / "resolv.conf").unlink()
    assert our_dns.settings() == defaults
