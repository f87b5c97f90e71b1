"""Spans in Thrift's binary protocol: the recorded bodies of the original, byte by byte, and an independent decoder."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from thriftpy2.protocol.binary import read_list_begin, read_val  # the library's own reader
from thriftpy2.thrift import TType
from thriftpy2.transport import TMemoryBuffer

from runtime import zipkin

RECORDED = json.loads((Path(__file__).parents[2] / "data" / "zipkin" / "jaeger-spans.json").read_text())
POSTS = [(f"{case['case']} {at}", post) for case in RECORDED for at, post in enumerate(case["posts"])]


def rebuilt(fields: dict[str, Any]) -> zipkin.Span:
    """A span of what was decoded of a recorded one."""
    made = zipkin.span_new(fields["1:i64"], fields.get("5:i64"), fields["4:i64"], fields["3:string"], force=True)
    assert made is not None
    made.debug = fields.get("9:bool")
    for each in reversed(fields["6:list"]):
        where = each["3:struct"]
        host = ".".join(map(str, struct.pack("!i", where["1:i32"])))
        made.set_default_endpoint(where["3:string"], host, where["2:i16"])
        made.annotate(octets(each["2:string"]), each["1:i64"])
    for each in reversed(fields["8:list"]):
        kind, value = each["3:i32"], octets(each["2:string"])
        number = {zipkin.I32: "!i", zipkin.I64: "!q", zipkin.DOUBLE: "!d"}.get(kind)
        made.bannotate(kind, each["1:string"], value if number is None else struct.unpack(number, value)[0])
    made.timestamp, made.duration = fields["10:i64"], fields["11:i64"]
    return made


def octets(value: str | dict[str, str]) -> bytes:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value.encode()


@pytest.mark.parametrize(("name", "post"), POSTS, ids=[name for name, _ in POSTS])
def test_recorded_spans_are_encoded_to_the_recorded_bytes(name: str, post: dict[str, Any]) -> None:
    spans = [rebuilt(each) for each in post["decoded"]["spans"]]
    assert zipkin.encode_list(spans).hex() == post["body_hex"], name


def test_an_independent_reader_understands_every_type_of_value() -> None:
    span = zipkin.span_new(1, 2, 3, "name é", True, True)
    assert span is not None
    span.trace_high = 0xABCDEF
    for kind, value in enumerate([True, b"\0\xff", -2, 1 << 30, -(1 << 62), 1.5, "text é"]):
        made = span.bannotate(kind, f"key {kind}", value)
        assert made is not None
        made.set_endpoint("other", "192.0.2.9", 65535)
    span.publish()
    data = zipkin.encode_list([span])
    buffer = TMemoryBuffer(data)
    kind, count = read_list_begin(buffer)
    assert (kind, count) == (TType.STRUCT, 1)
    fields = {}
    while True:
        field_type = buffer.read(1)[0]
        if field_type == TType.STOP:
            break
        (number,) = struct.unpack("!h", buffer.read(2))
        if number == 8:
            assert read_list_begin(buffer) == (TType.STRUCT, 7)
            fields[8] = [binary(buffer) for _ in range(7)]
        elif number == 6:
            assert read_list_begin(buffer) == (TType.STRUCT, 0)
        else:
            fields[number] = read_val(buffer, field_type)
    assert (fields[1], fields[5], fields[4], fields[3], fields[9]) == (1, 2, 3, "name é", True)
    assert fields[12] == 0xABCDEF
    values = {each[1]: (each[3], each[2]) for each in fields[8]}
    assert [values[f"key {kind}"][0] for kind in range(7)] == list(range(7))
    assert values["key 2"][1] == struct.pack("!h", -2)
    assert buffer.read(1) == b""


def binary(buffer: Any) -> dict[int, Any]:
    found: dict[int, Any] = {}
    while (field_type := buffer.read(1)[0]) != TType.STOP:
        (number,) = struct.unpack("!h", buffer.read(2))
        if number == 2:
            (length,) = struct.unpack("!i", buffer.read(4))
            found[2] = buffer.read(length)
        elif number == 4:
            while (inner := buffer.read(1)[0]) != TType.STOP:
                buffer.read(2)
                read_val(buffer, inner)
        else:
            found[number] = read_val(buffer, field_type)
    return found


def test_values_of_another_type_are_refused_by_name() -> None:
    span = zipkin.span_new(force=True)
    assert span is not None
    for kind, value in ((zipkin.I16, 1 << 15), (zipkin.I32, "7"), (zipkin.DOUBLE, True), (zipkin.STRING, 7), (9, 1)):
        with pytest.raises(ValueError, match=r"^size: "):
            span.bannotate(kind, "size", value)
    assert span.binary == []
