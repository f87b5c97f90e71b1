"""Clusters of real programs, on loopback addresses, with a relay between them that can lose and part."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from launching import Launched, free_port, general
from lxml import etree
from waiting import until

from runtime.cluster import Heartbeat, encode

RECORDED = Path(__file__).parents[1] / "data" / "cluster"
KEY = "a cluster key for tests"
IDS = [f"{letter * 8}-0000-4000-8000-{number:012}" for number, letter in enumerate("abc", 1)]
PERIOD, TIMEOUT = 0.1, 2.0

CONFIGURATION = """\
<cli>
  <logs>
    <console_output><outlet name="stderr"/><log name="error"/></console_output>
  </logs>
  <modules>
    {general}
  </modules>
  <listeners><listener type="http_rest_api" address="127.0.0.1" port="{rest}"/></listeners>
  <rest><acl><rule type="allow"/></acl></rest>
  {clusters}
</cli>
"""

MAIN = """\
module(..., package.seeall)
function main() end
function _G.mtev_xcall(query)
  local cluster = mtev.cluster(query.name)
  if not cluster then return { none = true } end
  local owners = {}
  for _, each in ipairs(cluster:owners("some key", 2)) do owners[#owners + 1] = each.cn end
  return { size = cluster:size(), oldest = cluster:am_i_oldest_visible_node(), owners = owners,
    own = cluster:do_i_own("some key", 3), first = cluster:nodes()[1].cn }
end
"""


class Member(Launched):
    """The program with a cluster."""

    def __init__(self, directory: Path, clusters: str) -> None:
        self.directory = directory
        self.directory.mkdir()
        self.rest = free_port()
        (directory / "main.lua").write_text(MAIN)
        self.configuration = directory / "cluster.conf"
        self.configuration.write_text(
            CONFIGURATION.format(general=general(directory), rest=self.rest, clusters=clusters)
        )

    def start(self) -> "Member":
        self.launch("cluster.conf")
        until(self.answers)
        return self

    def answers(self) -> bool:
        self.lives()
        with contextlib.suppress(OSError):
            self.document()
            return True
        return False

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, bytes]:
        asked = urllib.request.Request(f"http://127.0.0.1:{self.rest}{path}", body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return answer.status, answer.reason, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.reason, error.read()

    def document(self) -> Any:
        return json.loads(self.ask("/cluster.json")[2])

    def view(self) -> dict[str, bool]:
        """Who lives, by this member."""
        return {each["cn"]: not each["dead"] for each in self.document()["clusters"]["ponies"]["nodes"]}

    def node(self, cn: str) -> Any:
        return next(each for each in self.document()["clusters"]["ponies"]["nodes"] if each["cn"] == cn)

    def oldest(self) -> str | None:
        found: str | None = self.document()["clusters"]["ponies"].get("oldest_node")
        return found

    def refused(self) -> dict[str, int]:
        """Datagrams dropped, by reason."""
        found = json.loads(self.ask("/mtev/stats.json?format=simple")[2])
        counts: dict[str, int] = found.get("cluster.refused", {}).get("ponies", {})
        return counts

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)


class Relay:
    """Carries datagrams between members: each knows the others by addresses of the relay."""

    def __init__(self, size: int) -> None:
        self.ports = [free_port() for _ in range(size)]
        self.parted: set[tuple[int, int]] = set()
        self.drop_every = 0
        self.carried: Counter[tuple[int, int]] = Counter()
        self.last: dict[tuple[int, int], bytes] = {}
        self._ends = {
            (source, target): self._bound(f"127.0.1.{target + 1}")
            for source in range(size)
            for target in range(size)
            if source != target
        }
        self._closing, self._closed = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _bound(address: str) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, 0))
        return made

    def address(self, source: int, target: int) -> tuple[str, int]:
        """Where *source* sends what *target* is to get."""
        if source == target:
            return f"127.0.0.{source + 2}", self.ports[source]
        address: tuple[str, int] = self._ends[source, target].getsockname()
        return address

    def send(self, source: int, target: int, datagram: bytes) -> None:
        """As if *source* had."""
        self._ends[target, source].sendto(datagram, self.address(target, target))

    def _run(self) -> None:
        ends = {end: pair for pair, end in self._ends.items()}
        while True:
            ready, _, _ = select.select([*ends, self._closed], [], [])
            if self._closed in ready:
                return
            for end in ready:
                datagram = end.recv(65535)
                pair = ends[end]
                self.carried[pair] += 1
                lost = self.drop_every and self.carried[pair] % self.drop_every == 0
                if pair not in self.parted and not lost:
                    self.last[pair] = datagram
                    with contextlib.suppress(OSError):
                        self.send(*pair, datagram)

    def close(self) -> None:
        self._closing.send(b"x")
        self._thread.join(10)
        for each in (*self._ends.values(), self._closing, self._closed):
            each.close()


@pytest.fixture
def relay() -> Iterator[Relay]:
    made = Relay(3)
    yield made
    made.close()


@pytest.fixture
def three(tmp_path: Path, relay: Relay) -> Iterator[list[Member]]:
    """Three members that see each other; the first is the oldest."""
    members = []
    for index, me in enumerate(IDS):
        nodes = "".join(
            '<node id="{}" cn="node-{}" address="{}" port="{}"/>'.format(
                each, "abc"[place], *relay.address(index, place)
            )
            for place, each in enumerate(IDS)
        )
        members.append(
            Member(
                tmp_path / f"member-{index}",
                f'<clusters my_id="{me}"><cluster name="ponies" key="{KEY}" seq="1" port="{relay.ports[index]}" '
                f'period="{PERIOD * 1000:.0f}" timeout="{TIMEOUT * 1000:.0f}">{nodes}</cluster></clusters>',
            )
        )
    try:
        for each in members:
            each.start()
        for each in members:
            until(lambda each=each: all(each.view().values()))
        yield members
    finally:
        for each in members:
            each.kill()


def views(members: list[Member]) -> list[dict[str, bool]]:
    return [each.view() for each in members]


def alive(*names: str) -> dict[str, bool]:
    return {each: each in names for each in ("node-a", "node-b", "node-c")}


EVERYBODY = alive("node-a", "node-b", "node-c")


def test_members_crash_hang_restart_and_part(three: list[Member], relay: Relay) -> None:
    a, b, c = three
    until(lambda: [each.oldest() for each in three] == [IDS[0]] * 3)

    contact = b.node("node-a")["last_contact"]
    a.kill()
    until(lambda: views([b, c]) == [alive("node-b", "node-c")] * 2)
    until(lambda: [b.oldest(), c.oldest()] == [IDS[1]] * 2)
    dead = b.node("node-a")
    assert dead["boot_time"] == 0 and dead["last_contact"] >= contact

    a.start()
    until(lambda: views(three) == [EVERYBODY] * 3)
    until(lambda: [each.oldest() for each in three] == [IDS[1]] * 3)  # a booted anew

    b.send(signal.SIGSTOP)
    until(lambda: views([a, c]) == [alive("node-a", "node-c")] * 2)
    until(lambda: [a.oldest(), c.oldest()] == [IDS[2]] * 2)
    b.send(signal.SIGCONT)
    until(lambda: views(three) == [EVERYBODY] * 3)
    until(lambda: [each.oldest() for each in three] == [IDS[1]] * 3)  # as old as it was

    relay.parted = {(0, 2), (1, 2), (2, 0), (2, 1)}
    until(lambda: views(three) == [alive("node-a", "node-b")] * 2 + [alive("node-c")])
    relay.parted = {(2, 0)}  # now a does not hear c, though c hears everybody
    until(lambda: views(three) == [alive("node-a", "node-b"), EVERYBODY, EVERYBODY])
    relay.parted = set()
    until(lambda: views(three) == [EVERYBODY] * 3)

    relay.drop_every = 2
    carried = relay.carried.total()
    until(lambda: relay.carried.total() > carried + 200)
    until(lambda: views(three) == [EVERYBODY] * 3)


def test_forged_replayed_cut_and_wrongly_keyed_datagrams_change_nothing(three: list[Member], relay: Relay) -> None:
    a, b, _ = three
    before = a.node("node-b")
    boot = before["boot_time"] * 1_000_000
    replayed = relay.last[1, 0]
    newer = Heartbeat(UUID(IDS[1]), boot + 5_000_000, 1)
    for datagram in (
        replayed,
        replayed[:-1],
        replayed + b"\0",
        b"",
        replayed[:4] + bytes(len(replayed) - 4),
        encode(newer, b"another key"),
        encode(Heartbeat(UUID(IDS[1]), 0, 1), KEY.encode()),
        encode(Heartbeat(UUID(IDS[1]), boot - 1_000_000, 1), KEY.encode()),
        encode(Heartbeat(UUID(IDS[1]), boot + 3600_000_000, 1), KEY.encode()),
        encode(Heartbeat(UUID(IDS[0]), boot, 1), KEY.encode()),
        encode(Heartbeat(UUID(int=9), boot, 1), KEY.encode()),
    ):
        relay.send(1, 0, datagram)
    relay.send(2, 0, encode(newer, KEY.encode()))  # from the address of another node
    wanted = {"replay": 1, "length": 2, "short": 1, "boot_time": 3, "own_id": 1, "unknown_node": 1, "address": 1}
    until(lambda: sum(a.refused().values()) >= 12)
    found = a.refused()
    assert {key: found.get(key) for key in wanted} == wanted
    assert found.get("decrypt", 0) + found.get("magic", 0) == 2
    assert a.node("node-b")["boot_time"] == before["boot_time"] and views(three) == [EVERYBODY] * 3
    assert b.oldest() == IDS[0]


def said(document: Any) -> Any:
    """What one state answered, wherever it stands in *document*."""
    while not document.keys() & {"size", "none"}:
        document = next(iter(document.values()))
    return document


def test_lua_asks_for_the_cluster(three: list[Member]) -> None:
    answers = [json.loads(each.ask("/module/lua/xcall.json?name=ponies")[2]) for each in three]
    found = [said(each) for each in answers]
    assert [each["size"] for each in found] == [3, 3, 3] and [each["first"] for each in found] == ["node-a"] * 3
    assert [each["oldest"] for each in found] == [True, False, False]
    assert len({tuple(each["owners"]) for each in found}) == 1 and all(each["own"] for each in found)
    nobody = json.loads(three[0].ask("/module/lua/xcall.json?name=nosuch")[2])
    assert said(nobody) == {"none": True}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Member]:
    """One member, of the cluster that was recorded, on ports of its own."""
    ports = {30938: free_port(), 31620: free_port()}
    nodes = "".join(
        f'<node id="{each}" cn="node-{letter}" address="127.0.0.1" port="{ports[30938] if letter == "a" else 9}"/>'
        for letter, each in zip("abc", IDS, strict=True)
    )
    member = Member(
        tmp_path / "member",
        f'<clusters my_id="{IDS[0]}">\n<cluster name="ponies" key="{KEY}" seq="1" port="{ports[30938]}" '
        f'period="200" timeout="1500" maturity="1500">{nodes}</cluster></clusters>',
    )
    member.ports = ports  # type: ignore[attr-defined]
    try:
        yield member.start()
    finally:
        member.kill()


BETTER = {"13 bad: node address", "16 POST with x-mtev-conf-sync"}
"""What the original says yes to: an address that is none, and nodes that another cluster has, under one key."""


@pytest.mark.parametrize(
    ("doctype", "status"),
    [
        ('<!DOCTYPE cluster SYSTEM "URL">', 304),
        ('<!DOCTYPE cluster [<!ENTITY % p SYSTEM "URL"> %p;]>', 500),
        ('<!DOCTYPE cluster [<!ENTITY a SYSTEM "URL"><!ENTITY b "&a;">]>', 304),
    ],
)
def test_what_is_posted_has_no_file_read(one: Member, doctype: str, status: int) -> None:
    fifo = one.directory / "fifo"
    os.mkfifo(fifo)  # who opens it for reading waits for ever
    body = f'{doctype.replace("URL", str(fifo))}<cluster name="ponies" key="k" seq="0" port="1"/>'
    assert one.ask("/cluster", body.encode())[0] == status
    assert one.ask("/cluster")[0] == 200


def test_configuration_over_rest_as_recorded(one: Member) -> None:
    until(lambda: one.oldest() is not None)
    one.ports |= dict.fromkeys((24097, 31695, 21944), 9)  # type: ignore[attr-defined]
    stages = json.loads((RECORDED / "rest.json").read_text())
    posted = [each for each in stages if isinstance(each[2], dict) and each[2]["request"]["method"] == "POST"]
    assert len(posted) > 25
    for stage, _, exchange in posted:
        request = exchange["request"]
        body = request["body"]
        for recorded, port in one.ports.items():  # type: ignore[attr-defined]
            body = body.replace(f'"{recorded}"', f'"{port}"')
        status, reason, answer = one.ask(request["path"], body.encode(), **request["headers"])
        if stage.startswith("17"):
            assert status == 405, stage  # where only POST is wrong, we say so
            continue
        if stage in BETTER:
            assert status == 500 and b"failed to update: " in answer, stage
            continue
        assert f"HTTP/1.1 {status} {reason}".upper() == exchange["status"], stage
        wanted = exchange["body_text"].replace("</error>\n", "")
        assert answer.decode().startswith(wanted), stage
    assert one.document()["clusters"]["ponies"]["seq"] == 10


def test_clusters_that_could_be_mistaken_for_each_other_are_refused(one: Member) -> None:
    port = one.ports[30938]  # type: ignore[attr-defined]
    nodes = f'<node id="{IDS[1]}" cn="b" address="127.0.0.1" port="{free_port()}"/>'
    for key, own, wanted in (
        (KEY, free_port(), b"share nodes and have one key"),
        ("k", port, b"one port"),
    ):
        body = f'<cluster name="herd" key="{key}" seq="1" port="{own}">{nodes}</cluster>'
        status, _, answer = one.ask("/cluster", body.encode())
        assert status == 500 and wanted in answer
    assert list(one.document()["clusters"]) == ["ponies"]


def test_what_cannot_be_shown_is_a_404(one: Member) -> None:
    stages = json.loads((RECORDED / "rest.json").read_text())
    asked = [each[2] for each in stages if isinstance(each[2], dict) and "404" in each[2]["status"]]
    for exchange in asked:
        if exchange["request"]["method"] == "GET":
            assert one.ask(exchange["request"]["path"])[0] == 404, exchange["request"]["path"]


def test_both_documents_have_the_recorded_shape(one: Member) -> None:
    until(lambda: one.oldest() is not None)
    stages = json.loads((RECORDED / "rest.json").read_text())
    first = {each[2]["request"]["path"]: each[2] for each in reversed(stages) if each[0].startswith("1 ")}
    wanted = first["/cluster.json"]["body_json"]
    found = one.document()
    assert list(found) == list(wanted) and found["my_id"] == wanted["my_id"]
    ponies, recorded = found["clusters"]["ponies"], wanted["clusters"]["ponies"]
    assert set(ponies) == set(recorded)
    assert {key: ponies[key] for key in ("name", "seq", "period", "timeout", "maturity", "oldest_node")} == {
        key: recorded[key] for key in ("name", "seq", "period", "timeout", "maturity", "oldest_node")
    }
    assert [set(each) for each in ponies["nodes"]] == [set(each) for each in recorded["nodes"][:3]]
    assert [each["dead"] for each in ponies["nodes"]] == [False, True, True]
    assert json.loads(one.ask("/cluster/ponies.json")[2])["clusters"]["ponies"]["nodes"][0]["id"] == IDS[0]

    for path in ("/cluster", "/cluster/ponies"):
        root, original = etree.fromstring(one.ask(path)[2]), etree.fromstring(first[path]["body_text"].encode())
        assert root.attrib == original.attrib
        assert [each.tag for each in root[0]] == [each.tag for each in original[0]][:-1]
        assert list(root[0].attrib) == list(original[0].attrib)
        assert list(root[0][1].attrib) == list(original[0][1].attrib)
    assert KEY.encode() not in one.ask("/cluster")[2] + one.ask("/cluster.json")[2]


def test_an_update_is_written_to_the_file_when_asked(one: Member) -> None:
    port = one.ports[30938]  # type: ignore[attr-defined]
    body = (
        f'<cluster name="ponies" key="{KEY}" seq="5" port="{port}" period="200" timeout="1500">'
        f'<node id="{IDS[0]}" cn="only" address="127.0.0.1" port="{port}"/></cluster>'
    )
    assert one.ask("/cluster", body.encode(), **{"x-mtev-conf-sync": "1"})[0] == 204
    written = etree.parse(one.configuration).find("clusters")
    assert written is not None and written.get("my_id") == IDS[0]
    assert [(each.get("seq"), [node.get("cn") for node in each]) for each in written] == [("5", ["only"])]
    assert one.view() == {"only": True}  # it lives as it lived


@pytest.mark.parametrize(
    ("cluster", "wanted"),
    [
        ('<cluster name="x" key="k" seq="1" port="70000"/>', "port: 70000"),
        ('<cluster name="x" key="k" seq="1" port="7" timout="9"/>', "timout, expected timeout"),
        ('<cluster name="x" key="k" seq="1" port="7"><nod id="1"/></cluster>', "nod, expected node"),
        ('<cluster name="x" key="k" seq="one" port="7"/>', "seq: expected an integer"),
        ('<cluster name="x" key="k" seq="1" port="7" period="5001"/>', "period: 5001"),
        ('<cluster name="x" key="k" seq="1" port="7" period="300" timeout="299"/>', "timeout: 299"),
        (
            '<cluster name="x" key="k" seq="1" port="7"><node id="zzz" cn="n" address="::1" port="1"/></cluster>',
            "no UUID",
        ),
        (f'<cluster name="x" key="k" seq="1" port="7"><node id="{IDS[0]}" cn="n" port="1"/></cluster>', "no address"),
        (
            f'<cluster name="x" key="k" seq="1" port="7"><node id="{IDS[0]}" cn="n" address="h" port="1"/></cluster>',
            "'h' is no IP address",
        ),
        ('<cluster name="x" key="k" seq="1" port="PORT"/><cluster name="y" key="l" seq="1" port="PORT"/>', "one port"),
        ('<cluster name="x" key="k" seq="1" port="PORT"/><cluster name="x" key="l" seq="1" port="8"/>', "'x' already"),
    ],
)
def test_a_wrong_cluster_is_named_at_start(tmp_path: Path, cluster: str, wanted: str) -> None:
    cluster = cluster.replace("PORT", str(free_port()))
    member = Member(tmp_path / "member", f'<clusters my_id="{IDS[0]}">\n{cluster}</clusters>')
    done = subprocess.run(
        [sys.executable, "-m", "luamtev", "-c", "cluster.conf", "main.lua"],
        cwd=member.directory,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 2 and wanted in done.stderr.decode()
    assert "cluster.conf:" in done.stderr.decode()


def test_an_incomplete_cluster_is_left_out_with_a_line_and_an_id_is_made(tmp_path: Path) -> None:
    member = Member(tmp_path / "member", '<clusters><cluster name="x" key="k" port="7"/></clusters>')
    try:
        member.start()
        found = member.document()
        assert found["clusters"] == {} and UUID(found["my_id"])
        assert "<cluster> has no seq and is left out" in member.errors()
        member.send(signal.SIGTERM)
        assert member.process is not None and member.process.wait(20) == 0
        written = etree.parse(member.configuration).find("clusters")
        assert written is not None and written.get("my_id") == found["my_id"]
    finally:
        member.kill()
