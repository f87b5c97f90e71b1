"""The format `flatbuffer`: each line one finished buffer, size-prefixed, of this schema.  Manual: Logging, format.

    namespace mtev;
    table LongValue { value: long; }      table ULongValue { value: ulong; }    table DoubleValue { value: double; }
    table StringValue { value: string; }  table UUIDValue { value: string; }
    union Value { LongValue, ULongValue, DoubleValue, StringValue, UUIDValue }
    table KVPair { key: string; value: Value; }
    table LogLine { timestamp: ulong; threadid: uint; line: uint; file: string; threadname: string;
                    facility: string; message: string; kv: [KVPair]; }

The timestamp counts microseconds since the epoch.
"""

from typing import Any

from ._line import Line, Value

LONG, ULONG, DOUBLE, STRING, UUID_TEXT = 1, 2, 3, 4, 5
"""The types of the union, in the order of the schema."""


def as_flatbuffer(_flags: int, line: Line) -> bytes:
    """*line* as a size-prefixed buffer."""
    import flatbuffers

    builder: Any = flatbuffers.Builder(256 + len(line.message))
    pairs = [_pair(builder, key, value) for key, value in line.pairs]
    builder.StartVector(4, len(pairs), 4)
    for offset in reversed(pairs):
        builder.PrependUOffsetTRelative(offset)
    vector = builder.EndVector()
    texts = [
        builder.CreateString(each) for each in (line.file, line.threadname, bytes(line.facility), bytes(line.message))
    ]
    builder.StartObject(8)
    builder.PrependUint64Slot(0, line.when // 1000, 0)
    builder.PrependUint32Slot(1, line.threadid & 0xFFFFFFFF, 0)
    builder.PrependUint32Slot(2, line.line, 0)
    for slot, offset in enumerate(texts, 3):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    if pairs:
        builder.PrependUOffsetTRelativeSlot(7, vector, 0)
    builder.FinishSizePrefixed(builder.EndObject())
    return bytes(builder.Output())


def _pair(builder: Any, key: str, value: Value) -> int:
    kind, inner = _value(builder, value)
    name = builder.CreateString(key)
    builder.StartObject(3)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependUint8Slot(1, kind, 0)
    builder.PrependUOffsetTRelativeSlot(2, inner, 0)
    offset: int = builder.EndObject()
    return offset


def _value(builder: Any, value: Value) -> tuple[int, int]:
    if not isinstance(value, (int, float)):
        text = builder.CreateString(str(value))
        builder.StartObject(1)
        builder.PrependUOffsetTRelativeSlot(0, text, 0)
        return (STRING if isinstance(value, str) else UUID_TEXT), builder.EndObject()
    builder.StartObject(1)
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        builder.PrependInt64Slot(0, value, 0)
        return LONG, builder.EndObject()
    if isinstance(value, int) and 0 <= value < 1 << 64:
        builder.PrependUint64Slot(0, value, 0)
        return ULONG, builder.EndObject()
    builder.PrependFloat64Slot(0, float(value), 0.0)
    return DOUBLE, builder.EndObject()
