"""The bytes of fq, as the original's module sent and got them; and torn to pieces of any size."""

import json
from pathlib import Path

import pytest
from fqbroker import ProgramError, compile_program
from hypothesis import given
from hypothesis import strategies as st

from runtime.modules.fq import wire

DATA = Path(__file__).parents[2] / "data" / "fq"
PROGRAMS = json.loads((DATA / "programs.json").read_text())
COMMAND, MESSAGES = json.loads((DATA / "wire.json").read_text())["connections"]


def octets(connection: list[list[str]], direction: str) -> bytes:
    return b"".join(bytes.fromhex(each[2]) for each in connection if each[1] == direction)


def test_commands_are_those_of_the_original() -> None:
    begun = octets(COMMAND, ">")
    queue = b"q-2943b99d-3714-4d96-bda6-83a7c016cf0d\0mem"
    queue = begun[begun.index(b"q-") :][: len(queue)]
    assert begun.startswith(
        wire.auth(b"reader", queue, b"secret") + wire.bind(b"exm", b'prefix:"a."') + wire.HEARTBEAT + wire.STATUS
    )


def test_answers_are_read() -> None:
    found = list(wire.Answers().feed(octets(COMMAND, "<")))
    assert [what for what, _ in found] == ["key", "heartbeat", "bound", "status", "status", "status", "status"]
    assert len(found[0][1]) == 127
    assert found[2] == ("bound", 1)
    assert found[-1][1]["no_exchange"] == 1
    assert found[-1][1]["msgs_in"] == 6


def test_messages_are_those_of_the_original() -> None:
    sent = octets(MESSAGES, ">")
    key = next(wire.Answers().feed(octets(COMMAND, "<")))[1]
    wanted = wire.data(key) + wire.message(b"exm", b"a.one", b"hello") + wire.message(b"exm", b"a.two", b"to all")
    assert sent.startswith(wanted)
    first, *_, last = wire.Deliveries().feed(octets(MESSAGES, "<"))
    assert (first.exchange, first.route, first.sender, first.payload) == (b"exm", b"a.one", b"reader", b"hello")
    assert first.hops == ("10.0.0.1", "127.0.0.1")
    assert (last.id, last.payload) == (bytes(range(16)), b"burst 4")


def test_an_error_of_the_broker_says_so() -> None:
    with pytest.raises(wire.WireError, match="the broker says: invalid queue type: nosuchtype"):
        list(wire.Answers().feed(bytes.fromhex("eeee001e696e76616c696420717565756520747970653a206e6f7375636874797065")))


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400", b"\xde\xad\xbe\xef"])
def test_what_is_no_fq_is_an_error(nonsense: bytes) -> None:
    with pytest.raises(wire.WireError, match="unknown answer"):
        list(wire.Answers().feed(nonsense))


def test_no_broker_delivers_so_much() -> None:
    head = b"\1e\1r" + bytes(16) + b"\1s\0" + (wire.LARGEST + 1).to_bytes(4, "big")
    with pytest.raises(wire.WireError, match="a payload of"):
        list(wire.Deliveries().feed(head))


@given(st.lists(st.integers(1, 40), min_size=1))
def test_pieces_of_any_size_are_put_together(sizes: list[int]) -> None:
    for made, connection in ((wire.Answers, COMMAND), (wire.Deliveries, MESSAGES)):
        whole = octets(connection, "<")
        reader, at, turn, found = made(), 0, 0, 0
        while at < len(whole):
            size = sizes[turn % len(sizes)]
            found += len(list(reader.feed(whole[at : at + size])))
            at, turn = at + size, turn + 1
        assert found == len(list(made().feed(whole)))


@pytest.mark.parametrize("case", PROGRAMS["programs"], ids=lambda case: case["program"])
def test_programs_match_as_recorded(case: dict[str, object]) -> None:
    try:
        matches = compile_program(str(case["program"]).encode())
    except ProgramError:
        assert not case["bound"]
        return
    assert case["bound"]
    messages = [(each["route"].encode(), bytes.fromhex(each["payload_hex"])) for each in PROGRAMS["messages"]]
    if "sample(0." not in str(case["program"]):
        assert [int(matches(*each)) for each in messages] == case["matches"]


def test_bindings_end_and_peers_begin_as_recorded() -> None:
    assert wire.unbind(1, b"exch").hex() == "071b00000001000465786368"
    assert list(wire.Answers().feed(bytes.fromhex("171b00000001171bffffffff"))) == [
        ("unbound", 1),
        ("unbound", wire.REFUSED),
    ]
    peers = wire.TRANSIENT | wire.PEERS
    assert wire.bind(b"exch", b'prefix:"peer"', peers).hex() == "b1700101000465786368000d7072656669783a227065657222"
    assert wire.data(b"key", bytes((10, 0, 0, 9))).hex() == "cc50feed0a00000900036b6579"
