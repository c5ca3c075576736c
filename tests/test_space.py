from __future__ import annotations

import itertools
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.scales import SCALES, Integer, Real
from hpsearch.space import Choice, Space, ends

SPACE = Space(
    {
        "learning_rate": Real(SCALES["log"](1e-4, 1.0), "log"),
        "momentum": Real(SCALES["one_minus_log"](0.9, 0.999), "one_minus_log"),
        "layers": Integer(SCALES["linear"](2, 4), "linear"),
        "batch_size": Integer(SCALES["log"](16, 256), "log"),
        "optimizer": Choice(("momentum", "adam", "rmsprop"), (1, 2, 1)),
        "hidden_units": Choice(((64,), (64, 32), 128)),
        "batch_norm": Choice((True, False)),
    }
)

points = st.tuples(*[st.floats(0, 1)] * len(SPACE.axes))


@given(points)
def test_a_setting_maps_to_a_point_that_maps_back_to_it(point: tuple[float, ...]) -> None:
    params = SPACE.params(point)
    again = SPACE.params(SPACE.point(params))
    for name, value in params.items():
        if isinstance(value, float):
            assert again[name] == pytest.approx(value, rel=1e-12)
        else:
            assert again[name] == value
            assert type(again[name]) is type(value)


@given(points)
def test_settings_are_plain_python_values_within_their_bounds(point: tuple[float, ...]) -> None:
    for name, value in SPACE.params(point).items():
        axis = SPACE.axes[name]
        assert type(value) in (float, int, str, bool, tuple)
        if isinstance(axis, Choice):
            assert value in axis.options
        else:
            low, high = ends(axis)
            assert low <= value <= high


def test_draws_cover_each_axis_evenly() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([SPACE.draw(rng) for _ in range(4000)])
    # mean of 4,000 uniform draws: standard error 0.0046; 6 of them fail by chance once in 5e8
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 6 * 0.0046


def test_both_ends_of_the_unit_interval_can_be_drawn() -> None:
    class Extreme:
        words = itertools.cycle((2**11 - 1, 2**64 - 1))

        def random_raw(self) -> int:
            return next(self.words)

    rng: Any = SimpleNamespace(bit_generator=Extreme())
    assert SPACE.draw(rng)[:2] == (0.0, 1.0)


def test_draws_are_those_of_numpys_integers_whatever_is_rejected() -> None:
    rng = np.random.default_rng(3)
    drawn = [u for _ in range(20_000) for u in SPACE.draw(rng)][:20_000]
    count = len(SPACE.axes)
    expected: list[float] = []
    again = np.random.default_rng(3)
    while len(expected) < 20_000:
        expected += (again.integers(0, 2**53 + 1, size=count) / 2**53).tolist()
    assert drawn == expected[:20_000]


def test_options_are_drawn_by_their_weights() -> None:
    choice = Choice(("a", "b", "c", "d"), (1, 0, 2, 1))
    drawn = Counter(choice.from_unit(np.linspace(0, 1, 4001)).tolist())
    assert set(drawn) == {"a", "c", "d"}
    assert drawn["c"] == pytest.approx(2000, abs=2)


def test_an_option_of_weight_zero_is_never_drawn_at_either_end() -> None:
    choice = Choice(("a", "b", "c"), (0, 1, 0))
    assert choice.from_unit(np.array([0.0, 0.5, 1.0])).tolist() == ["b", "b", "b"]


def test_true_and_one_are_two_options() -> None:
    choice = Choice((True, 1, 1.0, "1"))
    for option in choice.options:
        back = choice.from_unit(np.asarray(choice.to_unit(option))).item()
        assert type(back) is type(option)


@pytest.mark.parametrize(
    ("options", "weights", "words"),
    [
        ((), None, "at least one option"),
        (("a", "a"), None, "given twice"),
        (("a", "b"), (1,), "as many weights"),
        (("a", "b"), (1, -1), "not be negative"),
        (("a", "b"), (0, 0), "not all 0"),
    ],
)
def test_impossible_choices_are_refused(
    options: tuple[str, ...], weights: tuple[float, ...] | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Choice(options, weights)


def test_distinct_settings_are_counted() -> None:
    space = Space({"a": Choice((1, 2)), "b": Integer(SCALES["linear"](1, 3), "linear")})
    assert space.settings() == 6
    assert SPACE.settings() == float("inf")
