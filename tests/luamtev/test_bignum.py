"""Bignums give what OpenSSL's BIGNUM gives, and what Python's integers give, through Lua too."""

import ctypes
import ctypes.util
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from measuring import RESIDENT

from luamtev.api import bignum
from luamtev.bridge import LuaError

NUMBERS = st.one_of(st.integers(-20, 20), st.integers(-(2**70), 2**70), st.integers(-(2**600), 2**600))
POSITIVE = NUMBERS.map(lambda n: abs(n) + 1)
WORDS = st.one_of(st.integers(0, 200), st.integers(0, 2**53))


def compute(operation: str, *numbers: int) -> int | None:
    result = bignum.compute(operation.encode(), *map(bignum.encode, numbers))
    return None if result is None else bignum.decode(result)


@given(NUMBERS)
def test_a_number_crosses_unchanged_and_in_one_form(number: int) -> None:
    assert bignum.decode(bignum.encode(number)) == number
    assert (bignum.encode(number)[0] >= 0x80) == (number < 0)


@given(NUMBERS)
def test_every_form_reads_back(number: int) -> None:
    for form in (b"mpi", b"dec", b"hex"):
        shown = bignum.SHOW[form](number)
        text = shown.encode() if isinstance(shown, str) else shown
        assert bignum.decode(bignum.read(form, text) or b"") == number
    assert bignum.decode(bignum.read(b"bin", bytes(bignum.SHOW[b"bin"](number))) or b"") == abs(number)  # type: ignore[arg-type]


@given(st.binary(max_size=12))
def test_any_text_is_read_or_refused(text: bytes) -> None:
    for form in (b"bin", b"mpi", b"dec", b"hex"):
        read = bignum.read(form, text)
        assert read is None or bignum.encode(bignum.decode(read)) == read


@given(st.integers(4000, 6000), st.booleans())
def test_decimals_longer_than_python_converts_by_itself(digits: int, negative: bool) -> None:
    text = b"-" * negative + b"1234567890" * (digits // 10)
    number = bignum.decode(bignum.read(b"dec", text) or b"")
    assert bignum.SHOW[b"dec"](number) == text.decode()


@given(NUMBERS, NUMBERS)
def test_division_truncates_and_adds_up(a: int, d: int) -> None:
    assume(d != 0)
    quotient, remainder = map(bignum.decode, bignum.divide(bignum.encode(a), bignum.encode(d)))
    assert quotient * d + remainder == a
    assert abs(remainder) < abs(d)
    assert remainder == 0 or (remainder < 0) == (a < 0)


@given(NUMBERS, st.sampled_from([3, 5, 7, 13, 17, 97, 193, 257, 65537, 2**61 - 1, 2**127 - 1, 2**255 - 19]))
def test_a_square_has_a_root_modulo_a_prime(a: int, p: int) -> None:
    root = compute("mod_sqrt", a * a, p)
    assert root is not None
    assert root * root % p == a * a % p


@given(NUMBERS, NUMBERS)
def test_a_root_is_a_root_whatever_the_modulus(a: int, m: int) -> None:
    root = compute("mod_sqrt", a, m)
    assert root is None or (root * root - a) % m == 0


def test_numbers_beyond_use_are_refused() -> None:
    huge = bignum.encode(1 << bignum.MAX_BITS - 1)
    for operation in ("mul", "add"):
        with pytest.raises(LuaError, match="more than"):
            bignum.compute(operation.encode(), huge, huge)
    with pytest.raises(LuaError, match="more than"):
        bignum.read(b"dec", b"9" * bignum.MAX_BITS)


@pytest.fixture(scope="module")
def openssl() -> Iterator[Callable[..., tuple[int, list[int]]]]:
    """``openssl(function, results, *arguments)``: call BN_*function*; its status and the numbers it changed."""
    path = ctypes.util.find_library("crypto")
    if path is None:
        pytest.skip("there is no libcrypto")
    library = ctypes.CDLL(path)
    library.BN_new.restype = library.BN_CTX_new.restype = library.BN_bn2hex.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.BN_CTX_new())

    def number(value: int) -> ctypes.c_void_p:
        made = ctypes.c_void_p(library.BN_new())
        library.BN_hex2bn(ctypes.byref(made), f"{value:x}".encode())
        return made

    def shown(made: ctypes.c_void_p) -> int:
        text = ctypes.c_void_p(library.BN_bn2hex(made))
        value = int(ctypes.string_at(text), 16)  # type: ignore[arg-type]
        library.CRYPTO_free(text, b"", 0)
        return value

    def call(function: str, results: int, *arguments: int, words: bool = False, ctx: bool = True) -> Any:
        code = getattr(library, f"BN_{function}")
        code.restype = ctypes.c_void_p if function in ("mod_inverse", "mod_sqrt") else ctypes.c_uint64
        made = [number(arguments[0] if words else 0) for _ in range(results)]
        rest = [ctypes.c_uint64(w) for w in arguments[1:]] if words else [number(a) for a in arguments]
        status = code(*made, *rest, *([context] if ctx else []))
        values = [shown(each) for each in made]
        for each in made + ([] if words else rest):
            library.BN_free(each)
        return status or 0, values

    yield call
    library.BN_CTX_free(context)


PLAIN = {"add": 2, "sub": 2, "uadd": 2, "usub": 2, "lshift1": 1, "rshift1": 1}
WITH_CONTEXT = {"mul": 2, "sqr": 1, "gcd": 2}
MODULAR = {"nnmod": 1, "mod_add": 2, "mod_sub": 2, "mod_mul": 2, "mod_sqr": 1, "mod_lshift1": 1}


@given(a=NUMBERS, b=NUMBERS, m=POSITIVE)
def test_arithmetic_is_that_of_openssl(openssl: Any, a: int, b: int, m: int) -> None:
    for operations, ctx in ((PLAIN, False), (WITH_CONTEXT, True)):
        for name, count in operations.items():
            if name == "usub" and abs(a) < abs(b):  # where OpenSSL may wrap around
                assert compute(name, a, b) is None
                continue
            status, values = openssl(name, 1, *(a, b)[:count], ctx=ctx)
            assert compute(name, *(a, b)[:count]) == (values[0] if status & 1 else None), name
    for name, count in MODULAR.items():
        _, values = openssl(name, 1, *(a, b)[:count], m)
        assert compute(name, *(a, b)[:count], m) == values[0], name
    for divisor in (m, -m):
        _, values = openssl("div", 2, a, divisor)
        assert [bignum.decode(each) for each in bignum.divide(a, divisor)] == values
    if m > 1:
        status, values = openssl("mod_inverse", 1, a, m)
        assert compute("mod_inverse", a, m) == (values[0] if status else None)


@given(a=NUMBERS, p=st.integers(0, 2**70), m=POSITIVE)
def test_powers_are_those_of_openssl(openssl: Any, a: int, p: int, m: int) -> None:
    assert compute("mod_exp", a, p, m) == openssl("mod_exp", 1, a, p, m)[1][0]
    assert compute("exp", a, p % 30) == openssl("exp", 1, a, p % 30)[1][0]


@given(a=NUMBERS, p=st.sampled_from([2, 3, 5, 7, 11, 13, 29, 10**9 + 7, 2**127 - 1, 2**255 - 19]))
def test_roots_exist_where_openssl_finds_them(openssl: Any, a: int, p: int) -> None:
    status, values = openssl("mod_sqrt", 1, a, p)
    root = compute("mod_sqrt", a, p)
    assert (root is not None) == bool(status)
    if root is not None and p > 2:
        assert root in (values[0] % p, -values[0] % p)


@given(a=NUMBERS, w=WORDS, bit=st.integers(0, 700))
def test_words_and_bits_are_those_of_openssl(openssl: Any, a: int, w: int, bit: int) -> None:
    for name in ("add_word", "sub_word", "mul_word", "set_word", "mod_word", "div_word"):
        if w == 0 and name in ("mod_word", "div_word"):
            continue
        status, values = openssl(name, 1, a, w, words=True, ctx=False)
        changed, result = bignum.word(name.encode(), bignum.encode(a), w)
        assert (a if changed is None else bignum.decode(changed), int(result)) == (values[0], status), name
    for name in ("set_bit", "mask_bits", "is_bit_set"):
        status, values = openssl(name, 1, a, bit, words=True, ctx=False)
        changed, result = bignum.word(name.encode(), bignum.encode(a), bit)
        assert (a if changed is None else bignum.decode(changed), int(result)) == (values[0], status & 1), name


@given(a=NUMBERS)
def test_forms_are_those_of_openssl(openssl: Any, a: int) -> None:
    library = ctypes.CDLL(ctypes.util.find_library("crypto"))
    library.BN_new.restype = library.BN_bn2hex.restype = library.BN_bn2dec.restype = ctypes.c_void_p
    made = ctypes.c_void_p(library.BN_new())
    library.BN_dec2bn(ctypes.byref(made), str(a).encode())
    for form, show in ((b"hex", library.BN_bn2hex), (b"dec", library.BN_bn2dec)):
        text = ctypes.c_void_p(show(made))
        assert bignum.SHOW[form](a) == ctypes.string_at(text).decode()  # type: ignore[arg-type]
        library.CRYPTO_free(text, b"", 0)
    for form, write in ((b"bin", library.BN_bn2bin), (b"mpi", library.BN_bn2mpi)):
        room = ctypes.create_string_buffer(200)
        length = write(made, room)
        assert bignum.SHOW[form](a) == room.raw[:length]
    library.BN_free(made)


def test_lua_calculates_as_python_does(lua: Any) -> None:
    chance = random.Random(5)
    lines, expected = [], []
    for _ in range(300):
        a, b = (chance.choice((-1, 1)) * chance.getrandbits(chance.choice((4, 60, 500))) for _ in range(2))
        lines.append(f"show('{a}', '{b}')")
        expected.append(f"{a + b} {a - b} {a * b} {abs(a) + abs(b)} {a < b} {a == b}".lower())
        if b:
            quotient = abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1)
            expected[-1] += f" {quotient} {a - quotient * b} {a % abs(b)}"
    text = lua(
        """
        local dec = mtev.bignum_dec2bn
        local function show(x, y)
          local a, b = dec(x), dec(y)
          local r, line = mtev.bignum_new(), {}
          for _, method in ipairs({ "add", "sub", "mul", "uadd" }) do
            assert(r[method](r, a, b) == 1)
            line[#line + 1] = r:todec()
          end
          line[#line + 1] = tostring(a < b)
          line[#line + 1] = tostring(a == b)
          if b ~= dec("0") then
            local rest = mtev.bignum_new()
            r:div(rest, a, b)
            line[#line + 1], line[#line + 2] = r:todec(), rest:todec()
            r:nnmod(a, b)
            line[#line + 1] = tostring(r)
          end
          print(table.concat(line, " "))
        end
        function main()
          LINES
          os.exit(0)
        end
        """.replace("LINES", "\n".join(lines))
    )
    assert text.splitlines() == expected


def test_a_million_bignums_leave_no_memory(lua: Any) -> None:
    text = lua(
        RESIDENT
        + """
        function main()
          local sum, one = mtev.bignum_new(), mtev.bignum_new(1)
          for i = 1, 100000 do sum = sum + one end
          local before = resident()
          for i = 1, 900000 do sum = sum + one end
          print(sum, resident() - before < 4000000)
          os.exit(0)
        end
        """
    )
    assert text == "1000000\ttrue\n"
