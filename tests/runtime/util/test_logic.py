"""Expressions agree with a reference that evaluates what they were written from."""

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.log import LogError
from runtime.util.logic import Logic

Tree = tuple[Any, ...]
OPS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NAMES = st.sampled_from(["a", "b", "c_1", "d.e"])
LEAVES = st.one_of(
    st.tuples(st.just("exists"), NAMES),
    st.tuples(
        st.sampled_from(list(OPS)), NAMES, st.one_of(st.integers(-3, 3), st.sampled_from(["", "x", "it's", "-1"]))
    ),
)
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=8,
)


def written(tree: Tree) -> str:
    if tree[0] in ("and", "or", "not"):
        return f"{tree[0]}({', '.join(written(each) for each in tree[1:])})"
    if tree[0] == "exists":
        return f"exists({tree[1]})"
    value = tree[2]
    quoted = "'" + value.replace("'", "\\'") + "'" if isinstance(value, str) else str(value)
    return f"{tree[1]} {tree[0]} {quoted}"


def evaluated(tree: Tree, values: dict[str, Any]) -> bool:
    if tree[0] == "not":
        return not evaluated(tree[1], values)
    if tree[0] in ("and", "or"):
        return (all if tree[0] == "and" else any)(evaluated(each, values) for each in tree[1:])
    value = values.get(tree[1])
    if value is None or tree[0] == "exists":
        return value is not None
    wanted = tree[2]
    if isinstance(wanted, str):
        return OPS[tree[0]](str(value), wanted)
    try:
        return OPS[tree[0]](float(value), wanted)
    except ValueError:
        return False


@settings(deadline=None)
@given(TREES, st.dictionaries(NAMES, st.one_of(st.integers(-3, 3), st.sampled_from(["", "x", "it's", "-1"]))))
def test_an_expression_says_what_its_parts_say(tree: Tree, values: dict[str, Any]) -> None:
    assert Logic(written(tree)).exec(values.get) == evaluated(tree, values)


def test_expressions_look_for_patterns() -> None:
    assert Logic("a ~ '^x+$'").exec({"a": "xx"}.get)
    assert Logic("a !~ '^x+$'").exec({"a": b"xy"}.get)


@pytest.mark.parametrize("text", ["", "a", "a =", "and()", "not(a = 1, b = 2)", "a = 1 b", "xor(a = 1)", "a ~ '('"])
def test_what_is_no_expression_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(LogError, match="character"):
        Logic(text)
