"""The grammars of typed values.  Text in, value out; ValueError says what was expected.

Knows nothing of XML.  Manual: mtev_confstr_parse_duration, mtev_get_durations_ns.
"""

import math
import re

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1

_SPACE = " \t\n\v\f\r"
_INTEGER = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9][0-9]*))")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DURATION = re.compile(r"([0-9]+)(?:\.([0-9]+))?\s*([a-z]+)\s*", re.ASCII)
_DIGITS = 300
_SECOND = 10 ** (_DIGITS + 9)

_BOOLEANS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "sec": 10**9,
    "min": 60 * 10**9,
    "hr": 3600 * 10**9,
    "d": 86400 * 10**9,
    "w": 7 * 86400 * 10**9,
}


def parse_integer(text: str) -> int:
    """The integer that *text* is: decimal, ``0x`` hexadecimal or ``0`` octal, signed, as C's strtol with base 0.

    White space around it is allowed.  Raises ValueError for anything else, for trailing text too, and for a value
    that does not fit 64 bits."""
    match = _INTEGER.fullmatch(text.strip(_SPACE))
    if not match:
        raise ValueError("expected an integer")
    sign, hexadecimal, octal, decimal = match.groups()
    digits, base = (hexadecimal, 16) if hexadecimal else (decimal, 10) if decimal else (octal or "0", 8)
    # The digits that 64 bits can hold, so that nobody makes Python convert a million of them.
    value = int(sign + digits, base) if len(digits.lstrip("0")) <= 22 else INTEGER_MAX + 1
    if not INTEGER_MIN <= value <= INTEGER_MAX:
        raise ValueError("expected an integer of 64 bits")
    return value


def parse_float(text: str) -> float:
    """The decimal number that *text* is, white space around it allowed.

    Raises ValueError for anything else, for infinities and NaN too."""
    stripped = text.strip(_SPACE)
    if not _FLOAT.fullmatch(stripped):
        raise ValueError("expected a number")
    value = float(stripped)
    if not math.isfinite(value):
        raise ValueError("expected a number that a double can hold")
    return value


def parse_boolean(text: str) -> bool:
    """True for ``true``, ``on``, ``yes``; False for ``false``, ``off``, ``no``; in any case.

    White space around it is allowed.  Raises ValueError for anything else."""
    try:
        return _BOOLEANS[text.strip(_SPACE).lower()]
    except KeyError:
        raise ValueError("expected true, on, yes, false, off or no") from None


def parse_duration(text: str) -> float:
    """The seconds in *text*: numbers with a unit each, added up (``1min 30sec``, ``1hr5ms``).

    Units: ns, us, ms, s, sec, min, hr, d, w.  Raises ValueError for anything else, for a number without a unit too.
    Manual: ``mtev_confstr_parse_duration``."""
    rest = text.strip(_SPACE)
    if not rest:
        raise ValueError("expected a duration such as 1min 30s")
    total, position = 0, 0  # in units of 10**-_DIGITS nanoseconds, so that only the end is rounded
    while position < len(rest):
        element = _DURATION.match(rest, position)
        if not element:
            raise ValueError(f"expected a duration such as 1min 30s, not '{_shortened(rest[position:])}'")
        whole, fraction, unit = element.groups(default="")
        if unit not in _NANOSECONDS:
            units = ", ".join(_NANOSECONDS)
            raise ValueError(f"expected a duration in {units}: there is no unit '{_shortened(unit)}'")
        if max(len(whole), len(fraction)) > _DIGITS:
            raise ValueError("expected a duration that a double can hold")
        total += int(whole + fraction) * _NANOSECONDS[unit] * 10 ** (_DIGITS - len(fraction))
        position = element.end()
    return float(total / _SECOND)


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"
