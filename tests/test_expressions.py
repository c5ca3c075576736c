from __future__ import annotations

import math
import pickle
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpsearch.expressions import MAX_DEPTH, MAX_LENGTH, Expression, ExpressionError

VALUES: dict[str, Any] = {
    "layers": 3,
    "hidden_units": (64, 32),
    "momentum": 0.9,
    "optimizer": "adam",
    "batch_norm": True,
    "schedule": None,
    "zero": 0,
    "huge": 10**400,
    "inf": math.inf,
    "nan": math.nan,
    "empty": (),
    "words": ("a", "b"),
    "lambda": 0.5,
}


def holds(text: str, **values: Any) -> bool | None:
    return Expression.parse(text).holds({**VALUES, **values})


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("layers * max(hidden_units) <= 300", True),
        ("momentum < 0.99 or optimizer == 'adam'", True),
        ("momentum > 0.99 or optimizer == 'sgd'", False),
        ('optimizer == "adam"', True),
        ("optimizer != 'sgd' and layers > 2 and momentum < 1", True),
        ("layers > 9 or layers < 1 or layers == 3", True),
        ("layers > 9 or layers < 1 or layers == 4", False),
        ("not layers > 3", True),
        ("not not batch_norm", True),
        ("2 < layers < 4", True),
        ("2 < layers < 3 < 4", False),
        ("2 + 3 * 4 ** 2 == 50", True),
        ("(2 + 3) * 4 == 20", True),
        ("7 // 2 == 3 and 7 % 4 == 3 and 7 / 2 == 3.5", True),
        ("-2 ** 2 == -4", True),
        ("+layers == - -layers", True),
        ("2 ** -1 == .5", True),
        ("1e-3 < 0.01", True),
        ("layers in [1, 2, 3]", True),
        ("layers not in (1, 2)", True),
        ("optimizer in ['sgd', \"adam\"]", True),
        ("64 in hidden_units", True),
        ("hidden_units in [[64, 32], [32]]", True),
        ("hidden_units == [64, 32]", True),
        ("layers in []", False),
        ("min(hidden_units) == 32 and sum(hidden_units) == 96 and len(hidden_units) == 2", True),
        ("max(layers, 7, momentum) == 7 and min(layers, 7) == 3 and sum(layers, 7) == 10", True),
        ("sum(empty) == 0 and len(empty) == 0 and len(words) == 2", True),
        ("abs(-layers) == 3", True),
        ("batch_norm", True),
        ("batch_norm == true and batch_norm == True and batch_norm != FALSE", True),
        ("schedule == none and schedule == None and schedule == null", True),
        ("optimizer == 3", False),
        ("optimizer == 'é' or layers > 2", True),
        ("optimizer == '\\n'", False),
        ("optimizer == ''", False),
        ("  layers\n  > 2\t", True),
        ("lambda < 1", True),
    ],
)
def test_what_a_constraint_says(text: str, answer: bool) -> None:
    assert holds(text) is answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("9 ** 9 ** 9 > 1e308", True),
        ("9 ** 9 ** 9 == 9 ** 9 ** 8", True),
        ("(-9.0) ** 999 < -1e308", True),
        ("(-9.0) ** 998 > 1e308", True),
        ("1 ** 1000000000 == 1 and 0 ** 1000000000 == 0", True),
        ("2 ** 63 == 9223372036854775808", True),
        ("1e308 * 10 > 1e308", True),
        ("huge > 1e308 and -huge < 0", True),
        ("huge / 1 > 1e308", True),
        ("huge + 0.5 > 1e308", True),
        ("huge * huge * huge > 1e308", True),
        ("sum(huge, 0.5) > 1e308", True),
        ("inf - inf < 1", False),
        ("nan <= nan", False),
        ("nan == nan", False),
    ],
)
def test_what_is_too_large_counts_as_infinite(text: str, answer: bool) -> None:
    assert holds(text) is answer


def test_division_of_a_huge_number_by_zero_is_still_one() -> None:
    with pytest.raises(ExpressionError, match="divides by zero"):
        holds("huge / 0.0 > 1")


@pytest.mark.parametrize("text", ["momentum < 1 or other > 2", "other > 2 or momentum < 1"])
def test_a_constraint_on_an_absent_parameter_does_not_apply(text: str) -> None:
    assert holds(text) is None
    assert holds(text, other=3) is True


def test_the_names_are_the_parameters_alone() -> None:
    text = "max(hidden_units, 3) > layers or optimizer == 'sgd' or batch_norm == true"
    names = {"hidden_units", "layers", "optimizer", "batch_norm"}
    assert Expression.parse(text).names == names
    Expression.parse(text).check_names(names)


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("layers > 2 and layer < 9", 16, "unknown parameter 'layer'", "Did you mean 'layers'?"),
        (" lr > 2 and zz < lr", 2, "unknown parameter 'lr'", "A text needs quotes: 'lr'."),
        ("optimizer == sgd", 14, "unknown parameter 'sgd'", "A text needs quotes: 'sgd'."),
    ],
)
def test_unknown_names_are_pointed_at(text: str, column: int, message: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression.parse(text).check_names(VALUES)
    assert (str(caught.value), caught.value.column, caught.value.hint) == (message, column, hint)


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("layers = 3", 8, "'=' means nothing", "Write == instead."),
        ("layers === 3", 8, "'===' means nothing", "Write == instead."),
        ("layers is 3", 8, "'is' means nothing", "Write == or != instead."),
        ("layers <> 3", 8, "'<>' means nothing", "Write != instead."),
        ("layers => 3", 8, "'=>' means nothing", "Write >= instead."),
        ("layers =< 3", 8, "'=<' means nothing", "Write <= instead."),
        ("layers ≤ 3", 8, "'≤' means nothing", "Write <= instead."),
        ("layers > 3 && batch_norm", 12, "'&&' means nothing", "Write and instead."),
        ("layers > 3 AND batch_norm", 12, "'AND' means nothing", "Write and instead."),
        ("layers > 3 || batch_norm", 12, "'||' means nothing", "Write or instead."),
        ("!batch_norm", 1, "'!' means nothing", "Write not instead."),
        ("layers^2 > 3", 7, "'^' means nothing", "Write ** instead."),
        ("optimizer == ‘adam’", 14, "'‘' means nothing", "Write ' instead."),
        ("layers > 3 # few", 12, "'#' means nothing", ""),
        ("layers.real > 3", 7, "'.' means nothing", ""),
        ("layers := 3", 8, "':=' means nothing", ""),
        ("layers > 3\0", 11, "U+0000 means nothing", ""),
        ("{1} > 3", 1, "'{' means nothing", ""),
        ("~layers > 3", 1, "'~' means nothing", ""),
        ("layers @ 2 > 3", 8, "'@' means nothing", ""),
        ("lambda x: x", 1, "a constraint knows no 'lambda'", ""),
        ("layers if batch_norm else 3", 8, "a constraint knows no 'if'", ""),
        ("[x for x in words]", 4, "a constraint knows no 'for'", ""),
        ("f'{layers}' == 'a'", 2, "an operator is missing before '{layers}'", ""),
        ("b'a' == optimizer", 2, "an operator is missing before 'a'", ""),
        ("'a' 'b' == optimizer", 5, "an operator is missing before 'b'", ""),
        ("'''a''' == optimizer", 3, "an operator is missing before 'a'", ""),
        ("2 layers > 3", 3, "an operator is missing before 'layers'", ""),
        ("2(layers) > 3", 2, "an operator is missing before '('", ""),
        ("1j > 3", 1, "cannot read the number '1j'", "Write it as 12, 0.5 or 1e-3."),
        ("0x10 > 3", 1, "cannot read the number '0x10'", "Write it as 12, 0.5 or 1e-3."),
        ("1_000 > 3", 1, "cannot read the number '1_000'", "Write it as 12, 0.5 or 1e-3."),
        ("007 > 3", 1, "cannot read the number '007'", "Write it as 12, 0.5 or 1e-3."),
        ("layers < 1e999", 10, "'1e999' is too large for a number", ""),
        ("layers < " + "9" * 400, 10, "is too large for a number", ""),
        ("hidden_units[0] > 3", 1, "a constraint cannot hold 'hidden_units[0]'", "Of a repeated"),
        ("max(*hidden_units) > 3", 5, "a constraint cannot hold '*hidden_units'", ""),
        ("max(**hidden_units) > 3", 1, "'max' takes one repeated parameter or several", ""),
        ("max() > 3", 1, "'max' takes one repeated parameter or several numbers", ""),
        ("len(layers, 3) > 3", 1, "'len' takes one repeated parameter", ""),
        ("3 < abs(1, 2)", 5, "'abs' takes one number", ""),
        (
            "3 < maximum(1, 2)",
            5,
            "no functions but min, max, sum, len and abs",
            "Did you mean 'max'",
        ),
        ("layers > 3 or exec('1')", 15, "abs, found 'exec'", ""),
        ("", None, "the constraint is empty", ""),
        (" \n", None, "the constraint is empty", ""),
        ("layers <", 8, "it ends where a value is missing", ""),
        ("layers < * 3", 10, "'*' cannot stand here", ""),
        ("  layers < * 3", 12, "'*' cannot stand here", ""),
        ("(layers < 3", 1, "this '(' is never closed", ""),
        ("layers < 3)", 11, "nothing is opened that this ')' closes", ""),
        ("layers < (3]", 12, "nothing is opened that this ']' closes", ""),
        ("optimizer == 'adam", 14, "this quote is never closed", ""),
        ("layers + 1", 1, "'layers + 1' is neither true nor false", "A constraint compares"),
        ("none", 1, "'none' is neither true nor false", "A constraint compares"),
        ("3 < 4, 5 < 6", 1, "'3 < 4, 5 < 6' is neither true nor false", "A constraint compares"),
        ("optimizer == 'adam' or 'sgd'", 24, "'sgd' is neither true nor false", "Each side of"),
        ("not 3", 5, "'3' is neither true nor false", "What follows 'not'"),
    ],
)
def test_what_is_no_constraint_is_refused_with_its_column(
    text: str, column: int | None, message: str, hint: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.column == column
    assert caught.value.hint.startswith(hint)
    assert bool(caught.value.hint) == bool(hint)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 499 + "1" + ")" * 499,
        "[" * 120 + "]" * 120 + " == 1",
        "-" * 900 + "1 > 2",
        "not " * 200 + "true",
        "1" + "+1" * 400 + " > 3",
        "2" + "**2" * 300 + " > 3",
    ],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match=f"nested deeper than {MAX_DEPTH} levels"):
        Expression.parse(text)


def test_a_long_text_is_refused() -> None:
    longest = "1 < 2" + " " * (MAX_LENGTH - 5)
    assert holds(longest)
    with pytest.raises(ExpressionError, match="longer than 1,000 characters"):
        Expression.parse(longest + " ")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        (
            "layers > 9 or momentum / (layers - 3) > 1",
            15,
            "'momentum / (layers - 3)' divides by zero (momentum = 0.9, layers = 3)",
        ),
        ("layers // zero > 1", 1, "'layers // zero' divides by zero (layers = 3, zero = 0)"),
        ("1 < layers % 0", 5, "'layers % 0' divides by zero (layers = 3)"),
        ("0 ** -1 > 1", 1, "'0 ** -1' divides by zero"),
        (
            "(-layers) ** 0.5 > 1",
            1,
            "'(-layers) ** 0.5' is a fractional power of a negative number (layers = 3)",
        ),
        (
            " layers < optimizer",
            2,
            "'layers < optimizer' has 'adam' where < needs a number "
            "(layers = 3, optimizer = 'adam')",
        ),
        ("'a' < 'b'", 1, "''a' < 'b'' has 'a' where < needs a number"),
        (
            "schedule >= 1",
            1,
            "'schedule >= 1' has none where >= needs a number (schedule = none)",
        ),
        (
            "optimizer * 3 == 'a'",
            1,
            "'optimizer * 3' has 'adam' where * needs a number (optimizer = 'adam')",
        ),
        ("-words == 1", 1, "'-words' has ['a', 'b'] where - needs a number (words = ['a', 'b'])"),
        (
            "hidden_units < 3",
            1,
            "'hidden_units < 3' has [64, 32] where < needs a number (hidden_units = [64, 32])",
        ),
        (
            "max(layers) > 3",
            1,
            "'max(layers)' needs a repeated parameter or several numbers, found 3 (layers = 3)",
        ),
        ("len(layers) > 3", 1, "'len(layers)' needs a repeated parameter, found 3 (layers = 3)"),
        ("min(empty) > 3", 1, "'min(empty)' has nothing to choose from (empty = [])"),
        ("sum(words) > 3", 1, "'sum(words)' has 'a' where sum needs a number (words = ['a', 'b'])"),
        (
            "max(layers, hidden_units) > 3",
            1,
            "'max(layers, hidden_units)' has [64, 32] where max needs a number "
            "(layers = 3, hidden_units = [64, 32])",
        ),
        (
            "abs(optimizer) > 3",
            1,
            "'abs(optimizer)' has 'adam' where abs needs a number (optimizer = 'adam')",
        ),
        (
            "optimizer in ('adam')",
            1,
            "'optimizer in ('adam')' has 'adam' where 'in' needs a list (optimizer = 'adam')",
        ),
        ("layers", 1, "'layers' is neither true nor false (layers = 3)"),
        ("1 < 2 and layers", 11, "'layers' is neither true nor false (layers = 3)"),
        ("not optimizer", 5, "'optimizer' is neither true nor false (optimizer = 'adam')"),
    ],
)
def test_what_has_no_answer_shows_the_values(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        holds(text)
    assert (str(caught.value), caught.value.column) == (message, column)


def test_a_message_is_one_short_line() -> None:
    with pytest.raises(ExpressionError) as caught:
        holds("layers /\n  zero + " + "1 + " * 50 + "1 > 3")
    assert str(caught.value) == "'layers / zero' divides by zero (layers = 3, zero = 0)"
    with pytest.raises(ExpressionError) as caught:
        holds("optimizer + 'a\nb\0' == 3")
    assert "\n" not in str(caught.value)
    with pytest.raises(ExpressionError) as caught:
        holds("layers - " * 90 + "optimizer > 3")
    assert len(str(caught.value)) < 150


def test_a_list_among_numbers_gets_a_hint() -> None:
    with pytest.raises(ExpressionError) as caught:
        holds("hidden_units < 300")
    assert "max(...)" in caught.value.hint


def test_expressions_are_equal_by_their_text_and_can_be_pickled() -> None:
    expression = Expression.parse("layers < 4")
    copy = pickle.loads(pickle.dumps(expression))
    assert copy == expression != Expression.parse("layers < 5")
    assert len({copy, expression}) == 1
    assert copy.holds(VALUES) is True


NUMBERS: dict[str, Any] = {"a": 3, "b": -0.25, "c": 0, "t": True, "xs": (4, 0.5, -7)}

leaves = st.one_of(
    st.integers(0, 50).map(str),
    st.floats(0, 1e6).map(repr),
    st.sampled_from([*"abct", "max(xs)", "min(xs)", "sum(xs)", "len(xs)", "a ** 3", "2 ** a"]),
)
operators = st.sampled_from(["+", "-", "*", "/", "//", "%"])
arithmetic = st.recursive(
    leaves,
    lambda part: st.one_of(
        st.builds("({} {} {})".format, part, operators, part),
        st.builds("{} {} {}".format, part, operators, part),
        st.builds("-{}".format, part),
        st.builds("abs({})".format, part),
        st.builds("max({}, {})".format, part, part),
    ),
    max_leaves=8,
)
signs = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
comparisons = st.one_of(
    st.builds("{} {} {}".format, arithmetic, signs, arithmetic),
    st.builds("{} {} {} {} {}".format, arithmetic, signs, arithmetic, signs, arithmetic),
    st.builds("{} in [{}, {}]".format, arithmetic, arithmetic, arithmetic),
    st.builds("{} not in ({}, {})".format, arithmetic, arithmetic, arithmetic),
)
constraints = st.recursive(
    comparisons,
    lambda part: st.one_of(
        st.builds("{} {} {}".format, part, st.sampled_from(["and", "or"]), part),
        st.builds("({})".format, part),
        st.builds("not {}".format, part),
    ),
    max_leaves=4,
)


@given(constraints)
def test_a_constraint_means_what_python_means(text: str) -> None:
    if len(text) > MAX_LENGTH:
        return
    expression = Expression.parse(text)
    names = {"max": max, "min": min, "sum": sum, "len": len, "abs": abs, "__builtins__": {}}
    try:
        expected = eval(text, {**names, **NUMBERS})
    except ZeroDivisionError:
        with pytest.raises(ExpressionError, match="divides by zero"):
            expression.holds(NUMBERS)
    else:
        assert expression.holds(NUMBERS) is expected


TOKENS = (
    "a b xs max len lambda if for is not in and or none True 1 0.5 1e9 'x' \"y\" ' \" f "
    "( ) [ ] { } , . : := = == != < <= > >= + - * / // % ** ! & | ^ ~ @ # \\ é × \0 \n "
    "__import__ exec await yield _"
)
token = st.one_of(st.sampled_from(TOKENS.split(" ")), st.text(max_size=3))
pieces = st.lists(token, max_size=30).map(" ".join)


@given(st.one_of(st.text(max_size=1100), pieces))
@example("\ud800")
@example("a\\\n< 3")
@example("__import__('os').abort()")
@example("().__class__.__bases__[0].__subclasses__()")
def test_any_text_is_a_constraint_or_refused(text: str) -> None:
    try:
        expression = Expression.parse(text)
        assert expression.holds(dict.fromkeys(expression.names, 2)) in (True, False)
        expression.holds(dict.fromkeys(expression.names, (1, 2)))
        expression.check_names(NUMBERS)
    except ExpressionError as error:
        refused = error
    else:
        return
    assert refused.column is None or 1 <= refused.column <= len(text)
    assert str(refused).isprintable()
