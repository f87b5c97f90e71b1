"""Numbers for heartbeats, where the protocol has only random bytes in front.

A replayed datagram is as good as the first one to a receiver that remembers nothing, and remembering all is too
much.  So this implementation writes a number that only rises into the eight bytes of salt, and a check by which its
like recognises it: 52 bits of microseconds since the epoch, 12 bits of hash.  To others it is salt.  Who was once
heard to number the heartbeats of a boot is believed no other."""

from dataclasses import replace
from struct import Struct

import xxhash

from ._heartbeat import Heartbeat

PLAUSIBLE = 86_400.0
"""Seconds that the clocks of two members may be apart for the first number to be taken for one."""

_TAG_BITS = 12
_CHECKED = Struct(">16sQQ")


def stamped(beat: Heartbeat, number: int) -> Heartbeat:
    """*beat* with *number*, microseconds since the epoch, for a salt."""
    return replace(beat, salt=(number << _TAG_BITS | _tag(beat, number)).to_bytes(8, "big"))


def read(beat: Heartbeat) -> int:
    """The number of *beat*, 0 where it has none."""
    salt = int.from_bytes(beat.salt, "big")
    number = salt >> _TAG_BITS
    return number if salt & (1 << _TAG_BITS) - 1 == _tag(beat, number) else 0


def _tag(beat: Heartbeat, number: int) -> int:
    checked = _CHECKED.pack(beat.node_id.bytes, beat.boot_time, number)
    return xxhash.xxh64_intdigest(checked) & (1 << _TAG_BITS) - 1
