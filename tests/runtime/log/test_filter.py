"""Filters on outlets, against an evaluator of their own."""

import operator
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import log
from runtime.log import Filter, Line, LogError


def line(message: bytes = b"hello", file: str = "a.c", number: int = 7, **pairs: Any) -> Line:
    return Line(1_700_000_000_123_456_789, b"error/x", message, file, number, tuple(pairs.items()))


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ('facility = "error/x"', True),
        ('facility != "error/x"', False),
        ('message ~ "^he"', True),
        ('message ~ "^el"', False),
        ('message !~ "z"', True),
        ("line = 7", True),
        ("line = 7.0", True),
        ('line = "7"', True),
        ('line = "7.0"', False),
        ("line < 10", True),
        ('line < "10"', False),
        ("timestamp > 1700000000.123455", True),
        ('timestamp = "1700000000.123456"', True),
        ("status >= 500", True),
        ("status < 500", False),
        ("latency < 0.5", True),
        ('"user name" = "joe"', True),
        ("'user name' = 'joe'", True),
        ("missing = 1", False),
        ("missing != 1", False),
        ('missing !~ "x"', False),
        ("exists(status)", True),
        ("exists('user name')", True),
        ("exists(missing)", False),
        ("not(exists(missing))", True),
        ("message < 5", False),
        ("message != 5", False),
        ('and(line = 7, message = "hello")', True),
        ('and(line = 7, message = "other")', False),
        ('or(line = 8, message = "other", status = 503)', True),
        ("and(not(or(line=8,line=9)),or(line=7))", True),
        ("  and ( line=7 , line>=7 )  ", True),
        (r'message = "h\145llo"', True),
        (r'message = "hel\154o"', True),
        ("threadid > 0", True),
        ('threadname ~ "."', True),
    ],
)
def test_a_line_passes_or_not(text: str, passes: bool) -> None:
    assert Filter(text)(line(status=503, latency=0.25, **{"user name": "joe"})) is passes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "filter, character 1: expected a predicate, got the end"),
        ("line", "filter, character 5: expected an operator, got the end"),
        ("line = ", "filter, character 8: expected quoted text or a number, got the end"),
        ("line = word", "filter, character 8: expected quoted text or a number, got 'word'"),
        ("line ~ 7", "filter, character 8: expected quoted text, got '7'"),
        ("line = 7 8", "filter, character 10: expected the end, got '8'"),
        ("and(line = 7", "filter, character 13: expected ',' or ')', got the end"),
        ("and()", "filter, character 5: expected a predicate, got ')'"),
        ("xor(line = 7)", "filter, character 4: expected and(, or(, not( or exists( before a parenthesis"),
        ("not(a=1, b=2)", "filter, character 8: expected ',' or ')'"),
        ("exists(7)", "filter, character 8: expected a field, got '7)'"),
        ('message ~ "("', "filter, character 11: '(' is no regular expression"),
        ('message = "open', "filter, character 11: expected a field, a value or an operator"),
        ("line = 7 ; x", "filter, character 10: expected a field, a value or an operator"),
        ("not(" * 200 + "a=1" + ")" * 200, "expected at most 100 parentheses"),
    ],
)
def test_a_bad_filter_is_refused_with_its_position(text: str, message: str) -> None:
    with pytest.raises(LogError) as refused:
        Filter(text)
    assert message in str(refused.value)


FIELDS = ("a", "b", "message", "odd name")
COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
values = st.one_of(st.integers(-5, 5), st.floats(-5, 5), st.text("ab\\\"'\n5", max_size=3))
predicates = st.one_of(
    st.tuples(st.sampled_from(sorted(COMPARE)), st.sampled_from(FIELDS), values),
    st.tuples(st.sampled_from(["~", "!~"]), st.sampled_from(FIELDS), st.text("ab5", max_size=2)),
    st.tuples(st.just("exists"), st.sampled_from(FIELDS)),
)
expressions: Any = st.recursive(
    predicates,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("not"), inner),
    ),
    max_leaves=8,
)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def written(tree: Any) -> str:
    if tree[0] in ("and", "or"):
        return f"{tree[0]}({', '.join(written(each) for each in tree[1])})"
    if tree[0] == "not":
        return f"not({written(tree[1])})"
    name = tree[1] if tree[1].isalpha() else quoted(tree[1])
    if tree[0] == "exists":
        return f"exists({name})"
    value = quoted(tree[2]) if isinstance(tree[2], str) else repr(tree[2])
    return f"{name} {tree[0]} {value}"


def evaluated(tree: Any, fields: dict[str, Any]) -> bool:
    if tree[0] == "and":
        return all(evaluated(each, fields) for each in tree[1])
    if tree[0] == "or":
        return any(evaluated(each, fields) for each in tree[1])
    if tree[0] == "not":
        return not evaluated(tree[1], fields)
    if tree[1] not in fields:
        return False
    if tree[0] == "exists":
        return True
    here = fields[tree[1]]
    if tree[0] in ("~", "!~"):
        return bool(re.search(tree[2], str(here))) is (tree[0] == "~")
    if isinstance(tree[2], str):
        return COMPARE[tree[0]](str(here), tree[2])
    try:
        return COMPARE[tree[0]](float(here), float(tree[2]))
    except ValueError:
        return False


@given(expressions, st.dictionaries(st.sampled_from(["a", "b", "odd name"]), values), st.text("ab5", max_size=3))
def test_filters_mean_what_the_grammar_says(tree: Any, pairs: dict[str, Any], message: str) -> None:
    whole = Line(0, b"f", message.encode(), "", 0, tuple(pairs.items()))
    assert Filter(written(tree))(whole) is evaluated(tree, pairs | {"message": message})


@given(st.text("andornt exists(),=~!<>\"'\\a1.", max_size=30))
def test_any_text_is_a_filter_or_an_error_with_a_position(text: str) -> None:
    try:
        made = Filter(text)
    except LogError as mistake:
        assert str(mistake).startswith("filter, character ")
    else:
        assert made(line()) in (True, False)


def test_an_outlet_passes_only_what_its_filter_lets_through(tmp_path: Any) -> None:
    plain, fine = tmp_path / "plain", tmp_path / "fine"
    source = log.new_stream("f/source")
    middle = log.new_stream("f/middle")
    source.add_outlet(log.new_stream("f/all", "file", plain))
    source.add_outlet(middle, Filter('message ~ "keep"'))
    middle.add_outlet(log.new_stream("f/some", "file", fine), Filter("level > 3"))
    source.log(b"keep 1\n", pairs={"level": 9})
    source.log(b"keep 2\n", pairs={"level": 1})
    source.log(b"drop 3\n", pairs={"level": 9})
    source.log(b"keep 4\n")
    middle.log(b"from the middle\n", pairs={"level": 4})
    assert plain.read_bytes() == b"keep 1\nkeep 2\ndrop 3\nkeep 4\n"
    assert fine.read_bytes() == b"keep 1\nfrom the middle\n"
    source.add_outlet(middle)
    source.log(b"drop 5\n", pairs={"level": 9})
    assert fine.read_bytes().endswith(b"drop 5\n"), "the filter is gone"
