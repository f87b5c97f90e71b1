"""Arithmetic for ``mtev.bignum_*``, on Python's integers.

A number crosses by value, as big-endian two's complement: nothing is kept here, and Lua's objects are plain tables.
What a method does with signs and limits is OpenSSL's: division truncates, bits and words are those of the magnitude,
``mod_*`` is never negative.  A calculation without a result (``usub`` below zero, no inverse, no root) gives None.
"""

import re
from collections.abc import Callable
from math import gcd
from typing import TYPE_CHECKING, Any

from luamtev.bridge import LuaError

if TYPE_CHECKING:
    from luamtev.port import Port

MAX_BITS = 1 << 23
"""A number has no more: what is larger is a mistake, and would stop the loop for long."""

_WORD_BITS = 64
_PLAIN_DIGITS = 4000  # Python converts no more between text and int
_DECIMAL = re.compile(rb"-?[0-9]+")
_HEX = re.compile(rb"-?[0-9A-Fa-f]+")


def functions(_state: "Port") -> dict[str, Callable[..., Any]]:
    """What ``mtev/bignum.lua`` builds on."""
    return {
        "bignum_read": read,
        "bignum_show": lambda form, value: SHOW[form](decode(value)),
        "bignum_compute": compute,
        "bignum_divide": divide,
        "bignum_word": word,
        "bignum_compare": compare,
    }


def decode(value: bytes | float) -> int:
    """The integer of a value that crossed; a whole Lua number is one too."""
    return int.from_bytes(value, "big", signed=True) if isinstance(value, bytes) else int(value)


def encode(number: int) -> bytes:
    """*number* as it crosses.  Raises :exc:`LuaError` beyond :data:`MAX_BITS`."""
    if number.bit_length() > MAX_BITS:
        raise _too_large()
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def compute(operation: bytes, *values: bytes | float) -> bytes | None:
    """The result of an *operation* of :data:`COMPUTE`, None where there is none."""
    result = COMPUTE[operation](*map(decode, values))
    return None if result is None else encode(result)


def divide(dividend: bytes | float, divisor: bytes | float) -> tuple[bytes, bytes]:
    """Quotient, rounded toward zero, and remainder, which has the sign of the dividend."""
    quotient, remainder = _divided(decode(dividend), decode(divisor))
    return encode(quotient), encode(remainder)


def word(operation: bytes, value: bytes, argument: float) -> tuple[bytes | None, float | bool]:
    """An *operation* of :data:`WORD`: the new value, None when it stays, and what the method returns."""
    changed, result = WORD[operation](decode(value), int(argument))
    return None if changed is None else encode(changed), result


def compare(one: bytes, other: bytes, magnitudes: bool) -> int:
    """-1, 0 or 1."""
    a, b = decode(one), decode(other)
    if magnitudes:
        a, b = abs(a), abs(b)
    return (a > b) - (a < b)


def read(form: bytes, text: bytes) -> bytes | None:
    """The number in *text*, in the *form* ``bin``, ``mpi``, ``dec`` or ``hex``; None when there is none.

    Decimal and hexadecimal digits are read as far as they go."""
    number: int | None
    if form == b"bin":
        number = int.from_bytes(text, "big")
    elif form == b"mpi":
        number = _from_mpi(text)
    else:
        digits = (_DECIMAL if form == b"dec" else _HEX).match(text)
        if not digits:
            return None
        if len(digits[0]) > MAX_BITS // 3:
            raise _too_large()
        number = int(digits[0], 16) if form == b"hex" else _from_decimal(digits[0])
    return None if number is None else encode(number)


def _from_decimal(digits: bytes) -> int:
    if len(digits) <= _PLAIN_DIGITS:
        return int(digits)
    from decimal import Decimal

    return int(Decimal(digits.decode()))


def _to_decimal(number: int) -> str:
    if number.bit_length() <= 3 * _PLAIN_DIGITS:
        return str(number)
    from decimal import Decimal

    return str(Decimal(number))


def _from_mpi(text: bytes) -> int | None:
    body = text[4:]
    if len(text) < 4 or int.from_bytes(text[:4], "big") != len(body):
        return None
    if body and body[0] & 0x80:
        return -int.from_bytes(bytes((body[0] & 0x7F,)) + body[1:], "big")
    return int.from_bytes(body, "big")


def _magnitude(number: int) -> bytes:
    return abs(number).to_bytes((number.bit_length() + 7) // 8, "big")


def _to_mpi(number: int) -> bytes:
    body = bytearray(_magnitude(number))
    if body and body[0] & 0x80:
        body.insert(0, 0)
    if number < 0:
        body[0] |= 0x80
    return len(body).to_bytes(4, "big") + body


def _to_hex(number: int) -> str:
    digits = f"{abs(number):X}"
    if len(digits) % 2 and number:
        digits = "0" + digits
    return "-" + digits if number < 0 else digits


def _too_large() -> LuaError:
    return LuaError(f"bignum: a number of more than {MAX_BITS} bits")


def _divided(a: int, d: int) -> tuple[int, int]:
    if d == 0:
        raise LuaError("bignum: division by zero")
    quotient, remainder = divmod(abs(a), abs(d))
    return (-quotient if (a < 0) != (d < 0) else quotient), (-remainder if a < 0 else remainder)


def _nnmod(a: int, m: int) -> int:
    if m == 0:
        raise LuaError("bignum: division by zero")
    return a % abs(m)


def _usub(a: int, b: int) -> int | None:
    result = abs(a) - abs(b)
    return result if result >= 0 else None


def _exp(a: int, p: int) -> int:
    if abs(a) > 1 and (a.bit_length() - 1) * abs(p) > MAX_BITS:
        raise _too_large()
    return int(a ** abs(p))


def _mod_exp(a: int, p: int, m: int) -> int:
    return pow(_nnmod(a, m), abs(p), abs(m))


def _mod_inverse(a: int, m: int) -> int | None:
    m = abs(m)
    if m < 2 or gcd(a, m) != 1:
        return None
    return pow(a, -1, m)


def _mod_sqrt(a: int, p: int) -> int | None:
    """A root of *a* modulo the prime *p*: by a formula where *p* is not 1 modulo 8, else by Tonelli and Shanks."""
    p = abs(p)
    if p == 2:
        return a & 1
    if p < 2 or p % 2 == 0:
        return None
    a %= p
    if p % 4 == 3:
        root = pow(a, (p + 1) // 4, p)
    elif p % 8 == 5:
        b = pow(2 * a, (p - 5) // 8, p)
        root = (2 * a * b * b - 1) * a * b % p
    else:
        root = _tonelli_shanks(a, p)
    return root if root * root % p == a else None


def _tonelli_shanks(a: int, p: int) -> int:
    """A number whose square is *a* if *p* is a prime and *a* has a root; else any number, in bounded time."""
    e = ((p - 1) & -(p - 1)).bit_length() - 1
    q = (p - 1) >> e
    y = next((each for each in range(2, 300) if pow(each, (p - 1) // 2, p) == p - 1), 2)
    y = pow(y, q, p)
    root, b = pow(a, (q + 1) // 2, p), pow(a, q, p)
    while b > 1:
        order, square = 0, b
        while square != 1 and order < e:
            square = square * square % p
            order += 1
        if order >= e:
            break
        t = pow(y, 1 << (e - order - 1), p)
        y = t * t % p
        root, b, e = root * t % p, b * y % p, order
    return root


def _rand_range(limit: int) -> int | None:
    import secrets

    return secrets.randbelow(limit) if limit > 0 else None


def _rand(bits: int, top: int, bottom: int) -> int | None:
    """Random *bits*; *top* of the highest are set, -1: none need be; with *bottom* the result is odd."""
    if bits > MAX_BITS:
        raise _too_large()
    if bits < 0 or (bits == 0 and (top != -1 or bottom)) or (bits == 1 and top > 0):
        return None
    import secrets

    number = secrets.randbits(bits)
    if top >= 0:
        number |= (3 << (bits - 2)) if top > 0 else (1 << (bits - 1))
    return number | 1 if bottom else number


COMPUTE: dict[bytes, Callable[..., int | None]] = {
    b"copy": lambda a: a,
    b"neg": lambda a: -a,
    b"add": lambda a, b: a + b,
    b"sub": lambda a, b: a - b,
    b"uadd": lambda a, b: abs(a) + abs(b),
    b"usub": _usub,
    b"mul": lambda a, b: a * b,
    b"sqr": lambda a: a * a,
    b"quotient": lambda a, d: _divided(a, d)[0],
    b"mod": lambda a, m: _divided(a, m)[1],
    b"nnmod": _nnmod,
    b"exp": _exp,
    b"gcd": gcd,
    b"lshift1": lambda a: a * 2,
    b"rshift1": lambda a: _divided(a, 2)[0],
    b"mod_exp": _mod_exp,
    b"mod_exp_simple": _mod_exp,
    b"mod_add": lambda a, b, m: _nnmod(a + b, m),
    b"mod_add_quick": lambda a, b, m: _nnmod(a + b, m),
    b"mod_sub": lambda a, b, m: _nnmod(a - b, m),
    b"mod_sub_quick": lambda a, b, m: _nnmod(a - b, m),
    b"mod_mul": lambda a, b, m: _nnmod(a * b, m),
    b"mod_sqr": lambda a, m: _nnmod(a * a, m),
    b"mod_lshift1": lambda a, m: _nnmod(a * 2, m),
    b"mod_lshift1_quick": lambda a, m: _nnmod(a * 2, m),
    b"mod_inverse": _mod_inverse,
    b"mod_sqrt": _mod_sqrt,
    b"rand_range": _rand_range,
    b"pseudo_rand_range": _rand_range,
    b"rand": _rand,
    b"pseudo_rand": _rand,
}
"""Operations that give a number."""

SHOW: dict[bytes, Callable[[int], bytes | str]] = {
    b"bin": _magnitude,
    b"mpi": _to_mpi,
    b"dec": _to_decimal,
    b"hex": _to_hex,
}
"""Forms a number is shown in."""


def _sign(a: int) -> int:
    return -1 if a < 0 else 1


def _div_word(a: int, w: int) -> tuple[int, int]:
    quotient, remainder = _divided(a, w)
    return quotient, abs(remainder)


def _mask_bits(a: int, bits: int) -> tuple[int | None, int]:
    if bits // _WORD_BITS >= -(-a.bit_length() // _WORD_BITS):
        return None, 0
    return _sign(a) * (abs(a) & ((1 << bits) - 1)), 1


def _set_bit(a: int, bit: int) -> tuple[int, int]:
    if bit >= MAX_BITS:
        raise _too_large()
    return _sign(a) * (abs(a) | 1 << bit), 1


def _get_word(a: int, _: int) -> tuple[None, float]:
    return None, float(abs(a)) if a.bit_length() <= _WORD_BITS else -1


WORD: dict[bytes, Callable[[int, int], tuple[int | None, float]]] = {
    b"num_bits": lambda a, _: (None, a.bit_length()),
    b"num_bytes": lambda a, _: (None, (a.bit_length() + 7) // 8),
    b"get_word": _get_word,
    b"set_word": lambda _, w: (w, 1),
    b"add_word": lambda a, w: (a + w, 1),
    b"sub_word": lambda a, w: (a - w, 1),
    b"mul_word": lambda a, w: (a * w, 1),
    b"div_word": _div_word,
    b"mod_word": lambda a, w: (None, _div_word(a, w)[1]),
    b"mask_bits": _mask_bits,
    b"set_bit": _set_bit,
    b"is_bit_set": lambda a, bit: (None, abs(a) >> bit & 1),
}
"""Operations of a number and a small one: the changed number or None, and a result."""
