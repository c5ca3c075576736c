"""What a user's code may report, and the sentence for everything else."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.objectives.reported import ReportError, metrics_from, shown


class Scalar:
    """A number as other libraries have it: without dimensions, and no subclass of a number."""

    shape = ()

    def __init__(self, value: float, dtype: str) -> None:
        self.value, self.dtype = value, dtype

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        return f"Scalar({self.value}, {self.dtype!r})"


class Bare:
    shape = ()

    def __float__(self) -> float:
        return 0.5

    def __repr__(self) -> str:
        return "Bare()"


NUMBERS = [
    (3, 3.0),
    (0.25, 0.25),
    (Fraction(1, 4), 0.25),
    (Decimal("0.25"), 0.25),
    (np.float32(0.5), 0.5),
    (np.float64(0.5), 0.5),
    (np.int64(7), 7.0),
    (np.uint8(7), 7.0),
    (np.array(0.5), 0.5),
    (np.float32([0.5])[0], 0.5),
    (Scalar(0.5, "torch.float32"), 0.5),
    (Scalar(0.5, "torch.bfloat16"), 0.5),
    (Scalar(2, "<dtype: 'int32'>"), 2.0),
    (Bare(), 0.5),
]


@pytest.mark.parametrize(("value", "number"), NUMBERS, ids=repr)
def test_a_number_of_any_library_is_the_metric(value: Any, number: float) -> None:
    (name,) = found = metrics_from(value, "acc")
    assert (name, found[name], type(found[name])) == ("acc", number, float)


@pytest.mark.parametrize(("value", "number"), NUMBERS, ids=repr)
def test_a_number_of_any_library_may_be_in_a_dict(value: Any, number: float) -> None:
    assert metrics_from({"loss": value, "acc": 1}, "acc") == {"loss": number, "acc": 1.0}


NO_NUMBERS = [
    (None, "nothing (None)"),
    ("0.5", "'0.5' (str)"),
    (np.str_("0.5"), "(str_)"),
    (b"0.5", "b'0.5' (bytes)"),
    (True, "True (bool)"),
    (np.True_, "(bool"),
    (np.array(True), "(ndarray)"),
    (np.array("0.5"), "(ndarray)"),
    (Scalar(1, "torch.bool"), "(Scalar)"),
    ([0.5], "[0.5] (list)"),
    ((0.5,), "(0.5,) (tuple)"),
    (np.array([0.5]), "array([0.5]) (ndarray)"),
    (np.zeros((2, 2)), "(ndarray)"),
    (1 + 2j, "(1+2j) (complex)"),
    (np.complex128(1), "(complex128)"),
    (np.datetime64("2024-01-01"), "(datetime64)"),
    ({0.5}, "{0.5} (set)"),
    (object, "(type)"),
]


@pytest.mark.parametrize(("value", "words"), NO_NUMBERS, ids=lambda each: repr(each)[:30])
def test_anything_else_is_shown_and_told_what_was_expected(value: Any, words: str) -> None:
    with pytest.raises(
        ReportError, match="expected a number, or a dict of names to numbers"
    ) as got:
        metrics_from(value, "acc")
    assert str(got.value).startswith("the result is ")
    assert words in str(got.value)


@pytest.mark.parametrize(("value", "words"), NO_NUMBERS, ids=lambda each: repr(each)[:30])
def test_anything_else_in_a_dict_is_shown_with_its_name(value: Any, words: str) -> None:
    with pytest.raises(ReportError, match="the metric 'loss' is ") as got:
        metrics_from({"acc": 1, "loss": value}, "acc")
    assert words in str(got.value)


def test_a_number_beyond_a_float_is_no_metric() -> None:
    with pytest.raises(ReportError, match=r"the result is 1000.*, which is not a number"):
        metrics_from(10**400, "acc")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_number_that_is_not_finite_passes_and_is_judged_with_the_epoch(value: float) -> None:
    assert not math.isfinite(metrics_from(value, "acc")["acc"])


@given(value=st.floats(allow_nan=False))
def test_a_float_passes_unchanged(value: float) -> None:
    assert metrics_from(value, "acc") == metrics_from({"acc": value}, "acc") == {"acc": value}


def test_a_long_value_is_shown_briefly_and_one_that_cannot_be_shown_is_named() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert shown("x" * 500) == "'" + "x" * 79 + " (str)"
    assert shown(Broken()) == "an object that cannot be shown (Broken)"
