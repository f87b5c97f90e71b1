from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.conf import parse_boolean, parse_duration, parse_float, parse_integer

SPACE = st.text(" \t\r\n", max_size=2)
INT64 = st.integers(-(2**63), 2**63 - 1)


@given(INT64, SPACE, SPACE)
def test_decimal_integers_are_read(value, before, after):
    assert parse_integer(f"{before}{value}{after}") == value


@given(st.integers(0, 2**63 - 1), st.sampled_from(["", "+", "-"]), st.sampled_from(["0x{:x}", "0X{:X}", "0{:o}"]))
def test_hexadecimal_and_octal_integers_are_read_as_strtol_reads_them(value, sign, form):
    assert parse_integer(sign + form.format(value)) == (-value if sign == "-" else value)


@given(st.integers(min_value=2**63) | st.integers(max_value=-(2**63) - 1))
def test_integers_beyond_64_bits_are_refused(value):
    with pytest.raises(ValueError, match="64 bits"):
        parse_integer(str(value))


@pytest.mark.parametrize("digits", ["9" * 100_000, "0x" + "f" * 100_000, "07" * 50_000])
def test_a_mountain_of_digits_is_refused(digits):
    with pytest.raises(ValueError, match="64 bits"):
        parse_integer(digits)


def test_leading_zeros_do_not_count_as_size():
    assert parse_integer("0x" + "0" * 100 + "1") == 1


@pytest.mark.parametrize(
    "text", ["", " ", "+", "-", "0x", "08", "1_000", "0o7", "1 2", "12abc", "abc", "1.0", "٣", "+-1", "- 1", "1\0"]
)
def test_text_that_is_no_integer_is_refused(text):
    with pytest.raises(ValueError, match="integer"):
        parse_integer(text)


@given(st.text())
def test_any_text_is_an_integer_or_refused(text):
    try:
        assert -(2**63) <= parse_integer(text) < 2**63
    except ValueError as refused:
        assert "expected" in str(refused)


@given(st.floats(allow_nan=False, allow_infinity=False), SPACE, SPACE)
def test_numbers_are_read_as_written(value, before, after):
    assert parse_float(f"{before}{value!r}{after}") == value


@pytest.mark.parametrize(("text", "value"), [(".5", 0.5), ("2.", 2.0), ("+1.5e3", 1500.0), ("-0", 0.0)])
def test_short_forms_of_numbers_are_read(text, value):
    assert parse_float(text) == value


@pytest.mark.parametrize("text", ["", ".", "e5", "1e", "nan", "inf", "-infinity", "1_0", "0x1", "1,5", "1.5x", "1e999"])
def test_text_that_is_no_finite_number_is_refused(text):
    with pytest.raises(ValueError, match="number"):
        parse_float(text)


@given(st.sampled_from(["true", "on", "yes", "false", "off", "no"]), st.randoms(use_true_random=False), SPACE)
def test_booleans_are_read_in_any_case(word, random, space):
    mixed = "".join(random.choice([letter.upper(), letter]) for letter in word)
    assert parse_boolean(space + mixed + space) is (word in ("true", "on", "yes"))


@given(st.text().filter(lambda text: text.strip().lower() not in ("true", "on", "yes", "false", "off", "no")))
def test_any_other_text_is_no_boolean(text):
    with pytest.raises(ValueError, match="expected true, on, yes"):
        parse_boolean(text)


UNITS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "sec": Decimal(1),
    "min": Decimal(60),
    "hr": Decimal(3600),
    "d": Decimal(86400),
    "w": Decimal(604800),
}
NUMBER = st.decimals(0, 10**6, places=3) | st.integers(0, 10**9).map(Decimal)


@given(st.lists(st.tuples(NUMBER, st.sampled_from(list(UNITS)), SPACE, SPACE), min_size=1, max_size=5))
def test_the_elements_of_a_duration_add_up_to_the_nearest_double(elements):
    text = "".join(f"{number:f}{inner}{unit}{outer}" for number, unit, inner, outer in elements)
    assert parse_duration(text) == float(sum(number * UNITS[unit] for number, unit, _, _ in elements))


@pytest.mark.parametrize(("text", "seconds"), [("1min 30sec", 90.0), ("1min5ms", 60.005), ("3min", 180.0), ("0s", 0.0)])
def test_durations_of_the_manual_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "  ", "5", "s", "-1s", "1 2s", "1s,2s", "1S", "1e3s", ".5s", "1.s", "1s 5", "１s", "9" * 5000 + "s"]
)
def test_text_that_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize("unit", ["m", "h", "y", "msec", "seconds"])
def test_an_unknown_unit_of_a_duration_is_named(unit):
    with pytest.raises(ValueError, match=f"no unit '{unit}'"):
        parse_duration(f"1min 5{unit}")


@given(st.text())
def test_any_text_is_a_duration_or_refused(text):
    try:
        assert parse_duration(text) >= 0
    except ValueError as refused:
        assert "expected a duration" in str(refused)
