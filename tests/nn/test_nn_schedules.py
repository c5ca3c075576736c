from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.nn.schedules import SCHEDULES, learning_rate
from hpsearch.nn.settings import Settings

FIRST = 0.2

epochs = st.integers(0, 10_000)


def rate(name: str, epoch: int, **settings: Any) -> float:
    return learning_rate(Settings(learning_rate=FIRST, decay=name, **settings), epoch)


@pytest.mark.parametrize("name", SCHEDULES)
@given(epoch=epochs, length=st.integers(1, 1000))
def test_by_default_the_learning_rate_starts_as_given_and_never_rises(
    name: str, epoch: int, length: int
) -> None:
    assert rate(name, 0, epochs=length) == FIRST
    now, then = (rate(name, e, epochs=length) for e in (epoch, epoch + 1))
    assert 0 <= then <= now <= FIRST


@pytest.mark.parametrize("name", SCHEDULES)
@given(epoch=epochs, decay_rate=st.floats(1e-300, 1e300), warmup=st.integers(0, 20))
def test_no_decay_rate_is_an_error(name: str, epoch: int, decay_rate: float, warmup: int) -> None:
    assert rate(name, epoch, decay_rate=decay_rate, warmup=warmup) >= 0


@pytest.mark.parametrize(
    ("name", "decay_rate", "epoch", "expected"),
    [
        ("none", 0.5, 7, 0.2),
        ("inverse_time", 1.0, 0, 0.2),
        ("inverse_time", 1.0, 1, 0.1),
        ("inverse_time", 1.0, 2, 0.2 / 3),
        ("inverse_time", 1.0, 3, 0.05),
        ("inverse_time", 0.5, 4, 0.2 / 3),
        ("exponential", 0.95, 3, 0.95**3 * 0.2),
        ("staircase", 0.5, 9, 0.2),
        ("staircase", 0.5, 10, 0.1),
        ("staircase", 0.1, 25, 0.002),
        ("inverse_sqrt", 1.0, 3, 0.1),
        ("inverse_sqrt", 2.0, 0, 0.4),
        ("cosine", None, 0, 0.2),
        ("cosine", None, 10, 0.2 * (1 + math.sqrt(3) / 2) / 2),  # a third of half the wave
        ("cosine", None, 30, 0.1),
        ("cosine", None, 40, 0.05),
        ("cosine", None, 60, 0.0),
        ("cosine", None, 99, 0.0),  # beyond the end, as when a training is continued
    ],
)
def test_schedules_follow_their_formula(
    name: str, decay_rate: float | None, epoch: int, expected: float
) -> None:
    result = rate(name, epoch, decay_rate=decay_rate, epochs=60)
    assert result == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_every_schedule_has_a_line_in_the_table_of_formulas() -> None:
    marks = test_schedules_follow_their_formula.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in marks[0].args[1]} == set(SCHEDULES)


def test_a_staircase_falls_at_every_step_and_nowhere_else() -> None:
    rates = [rate("staircase", epoch, decay_epochs=3, decay_rate=0.1) for epoch in range(9)]
    assert rates == pytest.approx([0.2] * 3 + [0.02] * 3 + [0.002] * 3)


def test_an_exponential_rate_above_one_grows_to_infinity_without_an_error() -> None:
    assert rate("exponential", 400, decay_rate=10.0) == math.inf
    assert rate("staircase", 4000, decay_rate=10.0) == math.inf


@pytest.mark.parametrize("name", SCHEDULES)
def test_without_a_decay_rate_the_schedule_takes_its_own(name: str) -> None:
    default = SCHEDULES[name].default_rate
    assert rate(name, 15) == rate(name, 15, decay_rate=default)
    if default is None:
        assert rate(name, 15) == rate(name, 15, decay_rate=0.3)
    else:
        assert rate(name, 15) != rate(name, 15, decay_rate=0.3)


def test_a_warm_up_rises_in_equal_steps_and_reaches_the_full_rate_after_it() -> None:
    rates = [rate("none", epoch, warmup=4) for epoch in range(7)]
    assert rates == pytest.approx([0.04, 0.08, 0.12, 0.16, 0.2, 0.2, 0.2])
    assert rates[4] == FIRST


@pytest.mark.parametrize("name", SCHEDULES)
@given(warmup=st.integers(0, 50), length=st.integers(1, 100), epoch=st.integers(0, 200))
def test_the_schedule_begins_after_the_warm_up(
    name: str, warmup: int, length: int, epoch: int
) -> None:
    rises = [rate(name, e, epochs=warmup + length, warmup=warmup) for e in range(warmup + 1)]
    assert all(below < above for below, above in pairwise(rises))
    assert rises[-1] == FIRST
    warmed = rate(name, warmup + epoch, epochs=warmup + length, warmup=warmup)
    assert warmed == rate(name, epoch, epochs=length)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_longer_than_the_training_only_rises(name: str) -> None:
    rates = [rate(name, epoch, epochs=3, warmup=9) for epoch in range(3)]
    assert rates == pytest.approx([0.02, 0.04, 0.06])
