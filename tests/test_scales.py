from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hpsearch.scales import SCALES, Integer, Real

UNIT = np.linspace(0, 1, 10_001)
unit = st.floats(0, 1)


@st.composite
def ends(draw: st.DrawFn, name: str) -> tuple[float, float]:
    """Two ends that the scale takes, a millionth of their size apart or more."""
    numbers = {
        "linear": st.floats(-1e6, 1e6),
        "log": st.floats(1e-12, 1e12),
        "one_minus_log": st.floats(-100, 1 - 1e-9),
    }[name]
    low, high = sorted((draw(numbers), draw(numbers)))
    distance = (1 - low) / (1 - high) - 1 if name == "one_minus_log" else high - low
    assume(distance > 1e-6 * max(1, abs(low), abs(high)))
    return low, high


@st.composite
def whole_ends(draw: st.DrawFn, name: str) -> tuple[int, int]:
    numbers = {
        "linear": st.integers(-1000, 1000),
        "log": st.integers(1, 10_000),
        "one_minus_log": st.integers(-1000, 0),
    }[name]
    low, high = sorted((draw(numbers), draw(numbers)))
    assume(low < high)
    return low, high


@pytest.mark.parametrize("name", SCALES)
@given(data=st.data(), u=unit)
def test_values_stay_inside_and_come_back(name: str, data: st.DataObject, u: float) -> None:
    low, high = data.draw(ends(name))
    axis = Real(SCALES[name](low, high), name)
    value = axis.from_unit(np.asarray(u)).item()
    assert low <= value <= high
    assert axis.from_unit(np.asarray(axis.to_unit(value))).item() == pytest.approx(
        value, rel=1e-9, abs=1e-9 * (high - low)
    )


@pytest.mark.parametrize("name", SCALES)
@given(data=st.data(), u=st.one_of(unit, st.sampled_from([0.0, 1.0, 1e-300, 1 - 2**-53])))
def test_one_value_has_the_same_bits_as_an_array_of_it(
    name: str, data: st.DataObject, u: float
) -> None:
    for axis in (
        Real(SCALES[name](*data.draw(ends(name))), name),
        Integer(SCALES[name](*data.draw(whole_ends(name))), name),
    ):
        expected = axis.from_unit(np.asarray(u)).item()
        assert axis.value(u) == expected
        assert type(axis.value(u)) is type(expected)


@pytest.mark.parametrize("name", SCALES)
@given(data=st.data())
def test_both_ends_are_reached_exactly(name: str, data: st.DataObject) -> None:
    low, high = data.draw(ends(name))
    axis = Real(SCALES[name](low, high), name)
    assert axis.from_unit(np.array([0.0, 1.0])).tolist() == [low, high]


@pytest.mark.parametrize("name", SCALES)
@given(data=st.data())
def test_values_rise_with_the_coordinate(name: str, data: st.DataObject) -> None:
    axis = Real(SCALES[name](*data.draw(ends(name))), name)
    assert np.all(np.diff(axis.from_unit(np.linspace(0, 1, 101))) >= 0)


@pytest.mark.parametrize("name", SCALES)
@given(data=st.data(), u=unit)
def test_integers_stay_inside_and_come_back(name: str, data: st.DataObject, u: float) -> None:
    low, high = data.draw(whole_ends(name))
    axis = Integer(SCALES[name](low, high), name)
    value = axis.from_unit(np.asarray(u)).item()
    assert isinstance(value, int)
    assert low <= value <= high
    assert axis.from_unit(np.asarray(axis.to_unit(value))).item() == value


@pytest.mark.parametrize("name", SCALES)
@given(data=st.data())
def test_integers_reach_both_ends(name: str, data: st.DataObject) -> None:
    low, high = data.draw(whole_ends(name))
    axis = Integer(SCALES[name](low, high), name)
    assert axis.from_unit(np.array([0.0, 1.0])).tolist() == [low, high]


@pytest.mark.parametrize("name", SCALES)
def test_every_integer_of_a_range_is_drawn(name: str) -> None:
    low, high = (-9, 0) if name == "one_minus_log" else (1, 10)
    axis = Integer(SCALES[name](low, high), name)
    assert set(axis.from_unit(UNIT).tolist()) == set(range(low, high + 1))


def test_a_linear_scale_has_its_mean_in_the_middle() -> None:
    assert Real(SCALES["linear"](2.0, 6.0), "linear").from_unit(UNIT).mean() == pytest.approx(4)


def test_each_decade_of_a_log_scale_gets_a_quarter() -> None:
    values = Real(SCALES["log"](1e-4, 1.0), "log").from_unit(UNIT)
    shares = np.histogram(values, bins=[1e-4, 1e-3, 1e-2, 1e-1, 1.1])[0] / len(values)
    assert shares == pytest.approx([0.25] * 4, abs=1e-3)


def test_half_of_a_beta_from_0_9_to_0_999_is_above_0_99() -> None:
    values = Real(SCALES["one_minus_log"](0.9, 0.999), "one_minus_log").from_unit(UNIT)
    assert np.mean(values > 0.99) == pytest.approx(0.5, abs=1e-3)


def test_integers_on_a_linear_scale_are_equally_likely() -> None:
    values = Integer(SCALES["linear"](2, 4), "linear").from_unit(UNIT)
    assert np.bincount(values)[2:] / len(values) == pytest.approx([1 / 3] * 3, abs=1e-3)


def test_integers_on_a_log_scale_have_their_log_width() -> None:
    values = Integer(SCALES["log"](1, 999), "log").from_unit(UNIT)
    shares = np.histogram(values, bins=[1, 10, 100, 1000])[0] / len(values)
    assert shares == pytest.approx([1 / 3] * 3, abs=1e-3)
    ones = np.mean(values == 1)
    assert ones == pytest.approx(math.log10(2) / 3, abs=1e-3)


def test_integers_on_a_one_minus_log_scale_mirror_those_on_a_log_scale() -> None:
    mirrored = Integer(SCALES["one_minus_log"](-98, 0), "one_minus_log").from_unit(UNIT)
    plain = Integer(SCALES["log"](1, 99), "log").from_unit(1 - UNIT)
    assert np.mean(1 - mirrored != plain) < 1e-3  # ties on the edge of a cell fall either way


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("linear", 1, 1),
        ("linear", 2, 1),
        ("linear", -1e308, 1e308),
        ("log", 0, 1),
        ("log", -4, 0),
        ("log", 2, 1),
        ("one_minus_log", 0.9, 1),
        ("one_minus_log", 0.99, 0.9),
    ],
)
def test_impossible_ends_are_refused(name: str, low: float, high: float) -> None:
    with pytest.raises(ValueError, match=r"needs|too wide"):
        SCALES[name](low, high)


@pytest.mark.parametrize("name", SCALES)
@given(data=st.data(), u=unit)
def test_tidy_values_are_short_and_on_the_right_side(
    name: str, data: st.DataObject, u: float
) -> None:
    scale = SCALES[name](*data.draw(ends(name)))
    value = float(scale.at(np.asarray(u)))
    assume(value != 0)
    down, up = scale.tidy(value, up=False), scale.tidy(value, up=True)
    assert down <= value <= up
    quantity = 1 - up if name == "one_minus_log" else up
    step = (scale.max - scale.min) / 1000 if name == "linear" else abs(quantity) / 100
    assert up - down <= 1.01 * max(step, 1e-15)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("linear", 0.123456, "0.1235"),
        ("log", 0.000123456, "0.000123"),
        ("one_minus_log", 0.998765, "0.99877"),
        ("one_minus_log", 0.9, "0.9"),
        ("one_minus_log", 0.0, "0"),
    ],
)
def test_a_value_is_written_with_the_digits_that_matter(name: str, value: float, text: str) -> None:
    low, high = {"linear": (0, 1), "log": (1e-4, 1), "one_minus_log": (0, 0.9999)}[name]
    assert Real(SCALES[name](low, high), name).text(value) == text


@pytest.mark.parametrize("name", SCALES)
@given(data=st.data())
def test_an_axis_has_a_few_marks_in_order_and_inside(name: str, data: st.DataObject) -> None:
    low, high = data.draw(ends(name))
    marks = SCALES[name](low, high).ticks()
    assert 2 <= len(marks) <= 6
    assert marks == sorted(set(marks))
    room = 1e-6 * (high - low)
    assert all(low - room <= each <= high + room for each in marks)


def test_marks_are_round_on_their_own_scale() -> None:
    assert SCALES["linear"](0, 1).ticks() == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert SCALES["log"](1e-4, 1).ticks() == [0.0001, 0.001, 0.01, 0.1, 1]
    assert SCALES["log"](16, 256).ticks() == [20, 50, 100, 200]
    assert SCALES["one_minus_log"](0.9, 0.999).ticks() == [0.9, 0.99, 0.999]
